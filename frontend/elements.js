// Find, make and show the elements of the page.

export const find = (id) => document.getElementById(id);

/** Return an element with these children, elements or texts. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Return a foreign text for a sentence; it must not change the sentence's text direction. */
export function isolated(text) {
  return make("bdi", {}, text);
}

/** Show a text in an element, or hide the element when there is none. */
export function show(element, text) {
  element.textContent = text;
  element.hidden = !text;
}
