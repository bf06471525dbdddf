import { Refusal } from "./refusal.js";

/** The gateway's API. */
export class Gateway {
  constructor(key) {
    this.key = key;
  }

  /** Return the models that can be asked, and the limits of a request. */
  async models(signal) {
    const answer = await this.#ask("v1/models", { signal });
    if (!answer?.models || !answer.limits) {
      throw new Refusal("unknown", "The server's answer is not a list of models.");
    }
    return answer;
  }

  /** Return the answer for these files, one result each; raise Refusal or AbortError. */
  async classify(files, model, signal) {
    const body = new FormData();
    for (const file of files) {
      body.append("images[]", file, file.name || "picture");
    }
    const query = model ? `?model=${encodeURIComponent(model)}` : "";
    const answer = await this.#ask(`v1/classify${query}`, { method: "POST", body, signal });
    const results = answer?.results ?? [];
    const known = results.filter((result) => result?.error ?? result?.predictions);
    if (results.length !== files.length || known.length !== files.length) {
      throw new Refusal("unknown", "The server's answer does not match the pictures sent.");
    }
    return answer;
  }

  async #ask(path, options) {
    const headers = this.key.value ? { Authorization: `Bearer ${this.key.value}` } : {};
    try {
      const response = await fetch(path, { ...options, headers });
      if (!response.ok) {
        throw await Refusal.from(response);
      }
      if (!response.headers.get("Content-Type")?.includes("json")) {
        throw new Refusal("unreachable", "Something between this page and the server answered.");
      }
      return await response.json();
    } catch (error) {
      if (error instanceof Refusal || error.name === "AbortError") {
        throw error;
      }
      options.signal?.throwIfAborted(); // WebKit: as if the network had failed, when left
      const message = "The server cannot be reached: it is down, or the connection is too slow.";
      throw new Refusal("unreachable", message);
    }
  }
}
