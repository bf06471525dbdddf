import { find, make, show } from "./elements.js";
import { megabytes } from "./text.js";

const UNLIMITED = { pictures: Infinity, picture_bytes: Infinity, request_bytes: Infinity };
const MODELS_PAUSE = 3; // seconds between two requests while no model is ready

/** Which model answers: shown, and chosen where there are several. */
export class Models {
  #listed = [];
  #asking = new AbortController();
  limits = UNLIMITED; // until the server has reported its own

  constructor(gateway, { onUnauthorized, onLimits, onChoice }) {
    this.gateway = gateway;
    this.onUnauthorized = onUnauthorized;
    this.onLimits = onLimits;
    this.onChoice = onChoice;
    find("model").addEventListener("change", () => this.#describe());
  }

  /** The name to ask for; "" for the default, whose versions the server may draw by shares. */
  get asked() {
    const chosen = this.#chosen();
    return !chosen || chosen.default ? "" : chosen.name;
  }

  /** Ask until a model is ready. */
  async load() {
    this.#asking.abort(); // an earlier answer that comes later would be out of date
    const { signal } = (this.#asking = new AbortController());
    let wait = MODELS_PAUSE;
    try {
      const { models, limits } = await this.gateway.models(signal);
      const before = this.asked; // "" follows the default, whichever it is now
      this.#limit(limits);
      if (models.length) { // else what was chosen stays so until it is served again
        this.#listed = models;
        this.#fill(before);
        return;
      }
      find("model-line").textContent = "No model is ready yet.";
    } catch (refusal) {
      if (signal.aborted) {
        return;
      }
      const locked = refusal.status === 401;
      const why = locked ? " without an API key." : `: ${refusal.message}`;
      find("model-line").textContent = `Not known${why}`;
      if (locked) {
        this.onUnauthorized(refusal);
        return;
      }
      wait = Math.max(wait, refusal.retryAfter || 0);
    }
    setTimeout(() => signal.aborted || this.load(), wait * 1000);
  }

  /** Ask again what is served if an answer shows that it has changed. */
  check({ model, version }) {
    const known = this.#listed.find(({ name }) => name === model);
    if (!known?.versions.includes(version) || model !== find("model").value) {
      this.load();
    }
  }

  #limit(limits) {
    this.limits = limits;
    show(find("size-limit"), `; up to ${megabytes(limits.picture_bytes)} each`);
    this.onLimits();
  }

  #chosen() {
    const name = find("model").value;
    return this.#listed.find((model) => model.name === name);
  }

  #fill(before) {
    const options = this.#listed.map(({ name, default: isDefault }) => {
      return new Option(isDefault ? `${name} (default)` : name, name, isDefault, isDefault);
    });
    find("model").replaceChildren(...options);
    if (this.#listed.some(({ name }) => name === before)) {
      find("model").value = before;
    }
    find("model-choice").hidden = this.#listed.length < 2;
    this.#describe();
  }

  #describe() {
    const { name, versions, weights, precision, engine, stands_in_for: absent } = this.#chosen();
    const version = `version${versions.length > 1 ? "s" : ""} ${versions.join(", ")}`;
    const facts = [version, `${weights} weights`, precision, engine].filter(Boolean);
    find("model-line").replaceChildren(make("strong", {}, name), ` ${facts.join(" · ")}`);
    const note = `Stands in for ${absent}, whose trained weights this server does not have.`;
    show(find("model-note"), absent ? note : "");
    const warning = `${name} has random weights: it was never trained; its labels mean nothing.`;
    show(find("model-warning"), weights === "random" ? warning : "");
    this.onChoice();
  }
}
