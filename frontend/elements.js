// What stands in the page: finding, making and showing it.

export const find = (id) => document.getElementById(id);

/** Return a file's name for a sentence, whose order of reading it must not change. */
export function isolated(name) {
  return Object.assign(document.createElement("bdi"), { textContent: name });
}

/** Show a text in an element, or hide the element when there is none. */
export function show(element, text) {
  element.textContent = text;
  element.hidden = !text;
}
