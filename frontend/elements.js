// Find, make and show the elements of the page.

export const find = (id) => document.getElementById(id);

/** Return a foreign text for a sentence; it must not change the sentence's text direction. */
export function isolated(text) {
  return Object.assign(document.createElement("bdi"), { textContent: text });
}

/** Show a text in an element, or hide the element when there is none. */
export function show(element, text) {
  element.textContent = text;
  element.hidden = !text;
}
