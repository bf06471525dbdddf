/** The pictures on the page, in their order. */
export class Queue {
  #pictures = [];
  #names = new Set();

  get size() {
    return this.#pictures.length;
  }

  add(picture) {
    this.#pictures.push(picture);
    this.#names.add(picture.name);
  }

  remove(picture) {
    this.#pictures = this.#pictures.filter((other) => other !== picture);
    this.#names.delete(picture.name);
  }

  /** Return a name that no picture has yet: every pasted one is image.png. */
  unused(wanted) {
    let name = wanted;
    for (let number = 2; this.#names.has(name); number += 1) {
      name = `${wanted} (${number})`;
    }
    return name;
  }

  all() {
    return [...this.#pictures];
  }

  in(state) {
    return this.#pictures.filter((picture) => picture.state === state);
  }

  /** The pictures whose labels come from another model than this one. */
  outdated(name) {
    return this.in("done").filter(({ model }) => name && model !== name);
  }

  /** The pictures that failed, but not for good. */
  failed() {
    return this.#pictures.filter(({ mayRetry }) => mayRetry);
  }

  /** Those of them that the server may be asked about now. */
  retriable() {
    return this.failed().filter(({ retryAt }) => retryAt <= performance.now());
  }
}
