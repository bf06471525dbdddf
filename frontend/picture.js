import { find, show } from "./elements.js";
import { percent } from "./text.js";

const UNSURE = 0.3; // a best label below this is a guess
// Sending the same picture again would only be refused again.
const LASTING = new Set(["bad_request", "too_large", "not_a_picture", "undecodable_picture"]);

/**
 * One picture and its card. Its state: waiting, running, done or failed. Labels stay until there are
 * new ones, or a run that ends early would lose them.
 */
export class Picture {
  #parts;
  #timer = 0;
  #labelled = []; // rows of the table
  #error = [];
  lost = 0; // requests with it, since its last answer, that ended with the server

  constructor(file, name, { onRetry, onRemove }) {
    this.file = file;
    this.name = name; // the file's, with a number if another picture has it
    this.card = find("card").content.firstElementChild.cloneNode(true);
    this.#parts = Object.fromEntries(
      ["preview", "name", "state", "labels", "source", "retry", "remove"].map((name) => [
        name,
        this.card.querySelector(`.${name}`),
      ]),
    );
    this.#parts.name.textContent = name;
    this.#parts.retry.addEventListener("click", () => onRetry(this));
    this.#parts.remove.setAttribute("aria-label", `Remove ${name}`);
    this.#parts.remove.addEventListener("click", () => onRemove(this));
    this.#preview();
    this.wait();
  }

  /** The rows of the table. */
  get rows() {
    return [...this.#labelled, ...this.#error];
  }

  wait(why = this.#labelled.length ? "Not classified again yet." : "Not classified yet") {
    this.#become("waiting", why);
  }

  run() {
    if (this.card.contains(document.activeElement)) {
      this.card.focus(); // because the focused button is hidden while this runs
    }
    this.#become("running", "Classifying…");
  }

  /** Show the labels, best first, and which model they come from. */
  finish(predictions, { model, version, weights }) {
    const unsure = predictions[0]?.probability < UNSURE;
    const remark = unsure ? "Not sure. It looks most like this:" : "";
    this.#labelled = []; // the old ones
    this.#become("done", predictions.length ? remark : "No label is probable enough.");
    this.card.classList.toggle("unsure", unsure);
    this.best = predictions[0];
    this.model = model;
    this.#labelled = predictions.map(({ label, wnid, probability }, index) => {
      return [this.name, index + 1, label, wnid, probability, model, version, ""];
    });
    const names = predictions.map((prediction) => prediction.label);
    const rows = predictions.map(({ label, wnid, probability }) => {
      const shared = names.filter((name) => name === label).length > 1;
      return labelRow(shared && wnid ? `${label} (${wnid})` : label, probability);
    });
    this.#parts.labels.replaceChildren(...rows);
    this.#parts.labels.hidden = !rows.length;
    const random = weights === "random";
    this.card.classList.toggle("random", random);
    const warning = random ? " · random weights: these labels mean nothing" : "";
    show(this.#parts.source, `${model} version ${version}${warning}`);
  }

  fail({ code, message, retryAfter = 0 }) {
    this.#become("failed", message);
    this.#error = [[this.name, "", "", "", "", "", "", message]];
    this.mayRetry = !LASTING.has(code);
    this.#parts.retry.hidden = !this.mayRetry;
    this.retryAt = performance.now() + retryAfter * 1000;
    this.#countDown();
  }

  discard() {
    clearTimeout(this.#timer);
    this.card.remove();
    this.#parts.preview.replaceChildren(); // nothing may use the URL any more
    URL.revokeObjectURL(this.url);
  }

  #become(state, text) {
    clearTimeout(this.#timer);
    this.state = state;
    this.mayRetry = false;
    this.#error = [];
    this.card.dataset.state = state;
    show(this.#parts.state, this.#labelled.length ? `${text} Labels from before:` : text);
    this.#parts.retry.hidden = true;
  }

  #countDown() {
    const left = Math.ceil((this.retryAt - performance.now()) / 1000);
    this.#parts.retry.disabled = left > 0;
    const text = left > 0 ? `Try again in ${left} s` : "Try again";
    this.#parts.retry.textContent = text;
    this.#parts.retry.setAttribute("aria-label", `${text}: ${this.name}`);
    if (left > 0) {
      this.#timer = setTimeout(() => this.#countDown(), 250);
    }
  }

  #preview() {
    const image = this.#parts.preview.querySelector("img");
    this.url = URL.createObjectURL(this.file);
    image.alt = `Preview of ${this.name}`;
    image.addEventListener("error", () => {
      this.#parts.preview.textContent = "No preview"; // TIFF, or no picture at all
    });
    image.src = this.url;
  }
}

/** Return a list item with a label and its probability as a bar. */
function labelRow(name, probability) {
  const row = find("label").content.firstElementChild.cloneNode(true);
  row.querySelector(".label").textContent = name;
  row.querySelector(".percent").textContent = percent(probability);
  row.querySelector("meter").value = probability;
  return row;
}
