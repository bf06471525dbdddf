const KEY_NAME = "edgelens-key";

/** The API key, kept in the tab's session where the browser allows that. */
export class Key {
  constructor() {
    this.value = "";
    try {
      this.value = sessionStorage.getItem(KEY_NAME) ?? "";
    } catch {
      // Storage is blocked: the key lives as long as the page.
    }
  }

  set(value) {
    this.value = value;
    try {
      sessionStorage.setItem(KEY_NAME, value);
    } catch {
      // As above.
    }
  }
}
