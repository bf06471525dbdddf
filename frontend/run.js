import { isolated } from "./elements.js";
import { Refusal } from "./refusal.js";
import { MOST_SPOKEN, counted, percent } from "./text.js";

// Small enough to show progress and to lose little on a cancel; the server may take less.
const REQUEST_PICTURES = 8;
const REQUEST_BYTES = 8 * 1024 * 1024; // arrives in the gateway's time limit on a slow line too
const FORM_BYTES = 1024; // more than a form needs for each picture besides its own bytes
const LONGEST_PAUSE = 30; // seconds the page waits by itself before it asks a busy server again
const MOST_LOST = 6; // requests in a row that ended with the server: their pictures may end it
const MOST_TOGETHER = 2; // of these for a picture; then it is sent alone, or it takes others with it
const SILENCE = 10; // seconds without an answer after which the page says that it still waits
const UNREADABLE = "This file cannot be read any more; if it was moved or changed, choose it again.";

/**
 * Return a copy of a file in memory, or null: it may have been moved or changed, or be a folder.
 * Firefox sends a changed file under its old length, which spoils the request for all pictures.
 */
async function copyOf(file) {
  try {
    const bytes = await file.arrayBuffer();
    const { name, type } = file;
    return bytes.byteLength === file.size ? new File([bytes], name, { type }) : null;
  } catch {
    return null;
  }
}

/** Wait; an aborted signal ends the wait with its AbortError. */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(resolve, seconds * 1000);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** One pass through the queue; it includes pictures that are added meanwhile. */
export class Run {
  #abort = new AbortController();
  #taken = new Set(); // the pictures that it has worked on
  #lost = 0; // requests in a row for which something else answered than the server
  #why = ""; // why the server wants to be left alone for a while

  constructor(queue, gateway, models, { say, onProgress }) {
    Object.assign(this, { queue, gateway, models, say, onProgress });
  }

  /** Classify all that waits; raise Refusal or AbortError if that ends the run early. */
  async work() {
    try {
      while (this.queue.in("waiting").length) {
        await this.#step();
      }
    } finally {
      this.queue.in("waiting").forEach((picture) => picture.wait()); // for the reader again
    }
  }

  cancel() {
    this.#abort.abort();
  }

  /** Stop counting a picture: it is gone. */
  forget(picture) {
    this.#taken.delete(picture);
  }

  /** The pictures that have an answer. */
  get #finished() {
    return [...this.#taken].filter(({ state }) => state === "done" || state === "failed");
  }

  /** Classify the next few pictures; a busy server is left alone for as long as it asked. */
  async #step() {
    const pictures = this.#next();
    for (const picture of pictures) {
      picture.run();
      this.#taken.add(picture);
    }
    this.#progress();
    const copies = await this.#copies(pictures);
    const wait = copies.size ? await this.#send(copies) : 0;
    if (wait && this.queue.in("waiting").length) {
      this.#progress();
      this.say(`${this.#why} Continuing in ${wait} s.`);
      await pause(wait, this.#abort.signal);
    }
  }

  /**
   * Take the pictures of the next request: as many as the server accepts in one. Those that may have
   * ended it come last.
   */
  #next() {
    const { pictures, request_bytes } = this.models.limits;
    const most = Math.min(REQUEST_PICTURES, pictures);
    const room = Math.min(REQUEST_BYTES, request_bytes);
    const waiting = this.queue.in("waiting").sort((one, other) => one.lost - other.lost);
    const together = waiting.filter(({ lost }) => lost < MOST_TOGETHER);
    const [first, ...others] = together.length ? together.slice(0, most) : waiting.slice(0, 1);
    const taken = [first];
    let bytes = first.file.size + FORM_BYTES;
    for (const picture of others) {
      bytes += picture.file.size + FORM_BYTES;
      if (bytes > room) {
        break;
      }
      taken.push(picture);
    }
    return taken;
  }

  /**
   * Return a copy of each picture's file; those whose files cannot be read fail. A large one, alone
   * in its request, stays on the disk while the server's limit is unknown: it may be of any size.
   */
  async #copies(pictures) {
    const copies = new Map();
    const most = this.models.limits.picture_bytes < Infinity ? Infinity : REQUEST_BYTES;
    for (const picture of pictures) {
      const { file } = picture;
      const copy = file.size > most ? file : await copyOf(file);
      if (copy) {
        copies.set(picture, copy);
      } else {
        picture.fail({ code: "bad_request", message: UNREADABLE });
      }
    }
    return copies;
  }

  /** Send one request; return the seconds the server wants to be left alone. */
  async #send(copies) {
    const pictures = [...copies.keys()];
    const silence = setTimeout(() => {
      this.say("Still sending, or waiting for the server; Cancel keeps the pictures here.");
    }, SILENCE * 1000);
    try {
      const files = [...copies.values()];
      const answer = await this.gateway.classify(files, this.models.asked, this.#abort.signal);
      this.#lost = 0;
      this.models.check(answer);
      pictures.forEach((picture, index) => {
        const result = answer.results[index];
        picture.lost = 0; // it was not to blame
        if (result.error) {
          picture.fail(result.error);
        } else {
          picture.finish(result.predictions, answer);
        }
      });
    } catch (error) {
      if (!(error instanceof Refusal) || error.status === 401) {
        pictures.forEach((picture) => picture.wait());
        throw error;
      }
      if (error.status === 413 && pictures.length > 1) {
        return this.#sendEach(copies); // this server's limits are lower than usual
      }
      if (!error.isBusy && (error.retryAfter || error.code === "unreachable")) {
        pictures.forEach((picture) => {
          picture.lost += 1;
        });
      }
      if (this.#mayRepeat(error)) {
        pictures.forEach((picture) => picture.wait(error.message)); // until it is ready, or Cancel
        this.#why = error.message;
        return error.retryAfter;
      }
      pictures.forEach((picture) => picture.fail(error));
      const isGone = error.code === "unknown_model"; // the model is no longer served
      if (isGone) {
        this.models.load();
      }
      if (isGone || error.code === "unreachable" || error.retryAfter) {
        throw error; // all others would fail too, or need another model: they wait for the reader
      }
    } finally {
      clearTimeout(silence);
    }
    return 0;
  }

  /** Tell whether the same request is worth sending again by itself. */
  #mayRepeat({ isBusy, retryAfter }) {
    if (!isBusy) {
      this.#lost = retryAfter ? this.#lost + 1 : 0;
    }
    return retryAfter && retryAfter <= LONGEST_PAUSE && this.#lost < MOST_LOST;
  }

  async #sendEach(copies) {
    const unsent = new Map(copies);
    try {
      for (const [picture, copy] of copies) {
        unsent.delete(picture);
        const wait = await this.#send(new Map([[picture, copy]]));
        if (wait) {
          return wait;
        }
      }
    } finally {
      unsent.forEach((_, picture) => picture.wait());
    }
    return 0;
  }

  /** Say how the run went, in parts. */
  summary() {
    const finished = this.#finished;
    const done = finished.filter(({ state }) => state === "done");
    const failed = finished.length - done.length;
    const spoken = done.length <= MOST_SPOKEN ? done.filter(({ best }) => best) : [];
    const labels = spoken.flatMap(({ name, best }) => {
      const end = `, ${percent(best.probability)}.`;
      return [" ", isolated(name), ": ", isolated(best.label), end];
    });
    const rest = failed ? `, ${failed} failed` : "";
    return [`${counted(done.length)} classified${rest}.`, ...labels];
  }

  #progress() {
    const finished = this.#finished;
    const unfinished = this.queue.in("waiting").length + this.queue.in("running").length;
    const all = finished.length + unfinished;
    const failed = finished.filter(({ state }) => state === "failed").length;
    this.say(`${finished.length} of ${counted(all)} done${failed ? `, ${failed} failed` : ""}.`);
    this.onProgress(finished.length, all);
  }
}
