// The upload page: pictures in, labels out. No dependencies, no build step, no other host.

import { dropped, isForField } from "./drop.js";
import { find, isolated, make } from "./elements.js";
import { Gateway } from "./gateway.js";
import { Key } from "./key.js";
import { Models } from "./models.js";
import { Picture } from "./picture.js";
import { Queue } from "./queue.js";
import { Refusal } from "./refusal.js";
import { Run } from "./run.js";
import { csv } from "./table.js";
import { MOST_SPOKEN, counted, megabytes } from "./text.js";

/** Name a few in a sentence's parts, or say how many they are. */
function listed(names, few, many) {
  if (names.length > MOST_SPOKEN) {
    return [` ${names.length} ${many}.`];
  }
  const parts = names.flatMap((name) => [", ", isolated(name)]).slice(1);
  return parts.length ? [` ${few}: `, ...parts, "."] : [];
}

/** Let the browser ask whether to leave: the pictures that wait would be lost. */
function ask(event) {
  event.preventDefault();
  event.returnValue = "asked"; // for browsers that do not count the former
}

/** The page: a queue of pictures, and the run that works through it. */
class Page {
  #queue = new Queue();
  #run = null; // the one under way
  #sifted = false; // whether only pictures that had failed are shown

  constructor() {
    this.key = new Key();
    this.gateway = new Gateway(this.key);
    this.models = new Models(this.gateway, {
      onUnauthorized: (refusal) => this.#askForKey(refusal),
      onLimits: () => this.#limit(),
      onChoice: () => this.#refresh(),
    });
    this.#listenToForms();
    this.#listenToDocument();
    this.#refresh();
    this.models.load();
  }

  /** Put files into the queue; the ones that are too large are refused by name. */
  add(files) {
    if (!files.length) {
      return;
    }
    const actions = { onRetry: (p) => this.#retry([p]), onRemove: (p) => this.#remove(p) };
    const added = [...files].map((file) => {
      const name = this.#queue.unused(file.path ?? file.name); // cameras number alike in all folders
      const picture = new Picture(file, name, actions);
      this.#queue.add(picture);
      return picture;
    });
    const large = this.#refuseLarge();
    find("pictures").append(...added.map(({ card }) => card));
    const refused = listed(large, "Too large", "are too large");
    this.#say(`${counted(added.length - large.length)} added.`, ...refused);
    this.#refresh();
  }

  /** Fail what waits and is larger than the server takes; return the names. */
  #refuseLarge() {
    const most = this.models.limits.picture_bytes;
    const large = this.#queue.in("waiting").filter(({ file }) => file.size > most);
    for (const picture of large) {
      const message = `This file exceeds the limit of ${megabytes(most)}.`;
      picture.fail({ code: "too_large", message });
    }
    return large.map(({ name }) => name);
  }

  /** Refuse what was added before the server said how large a picture may be. */
  #limit() {
    const large = this.#refuseLarge();
    if (large.length) {
      this.#say(...listed(large, "Too large", "are too large"));
      this.#refresh();
    }
  }

  #listenToForms() {
    for (const chooser of [find("chooser"), find("camera")]) {
      const take = () => {
        this.add(chooser.files);
        chooser.value = ""; // so that the same file can be chosen again
      };
      chooser.addEventListener("change", take);
      take(); // what was chosen while this script was loading
    }
    const once = (event) => {
      if (event.detail > 1) {
        event.preventDefault(); // a double click: another button may have taken the first one's place
        event.stopPropagation();
      }
    };
    find("upload").addEventListener("click", once, { capture: true });
    find("upload").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#start();
    });
    find("cancel").addEventListener("click", () => this.#run?.cancel());
    find("retry-all").addEventListener("click", () => this.#retry(this.#queue.retriable()));
    find("sift").addEventListener("click", () => {
      this.#sift(!this.#sifted);
      if (find("sift").hidden) {
        find("submit").focus(); // none has failed any more
      }
    });
    find("save").addEventListener("click", () => this.#save());
    find("clear").addEventListener("click", () => this.#clear());
    find("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#useKey(find("key").value.trim());
    });
  }

  #listenToDocument() {
    // Browsers end a page's requests when it is left; coming back to it, the pictures wait.
    addEventListener("pagehide", () => this.#run?.cancel());
    document.addEventListener("paste", (event) => {
      const files = event.clipboardData?.files ?? [];
      if (!files.length && event.target !== find("key")) {
        this.#say("Only pictures can be pasted here.");
      }
      this.add(files);
    });
    document.addEventListener("dragover", (event) => {
      if (isForField(event)) {
        return;
      }
      event.preventDefault();
      document.body.classList.toggle("dragging", event.dataTransfer.types.includes("Files"));
    });
    let entered = null; // Safari does not say what is entered when another element is left
    document.addEventListener("dragenter", ({ target }) => {
      entered = target;
    });
    document.addEventListener("dragleave", ({ target }) => {
      if (target === entered) {
        document.body.classList.remove("dragging");
      }
    });
    document.addEventListener("drop", async (event) => {
      if (isForField(event)) {
        return;
      }
      event.preventDefault();
      document.body.classList.remove("dragging");
      if (!event.dataTransfer.files.length) {
        this.#say("Only picture files can be dropped here; save the picture first.");
        return;
      }
      const lost = [];
      const files = await dropped(event.dataTransfer, lost);
      if (!files.length) {
        this.#say(lost.length ? "" : "There is no picture in this folder.");
      }
      this.add(files);
      find("status").append(...listed(lost, "Cannot be read", "files or folders cannot be read"));
    });
  }

  /** The pictures whose labels come from another model than the chosen one. */
  #outdated() {
    return this.#queue.outdated(find("model").value);
  }

  /** The pictures to classify again by all means: a new version may have other labels for them. */
  #repeatable() {
    return this.#queue.failed().length ? [] : this.#queue.in("done");
  }

  /** Classify what waits, or else what has another model's labels, or else what failed, or all. */
  async #start() {
    if (this.#run) {
      return;
    }
    for (const others of [this.#outdated(), this.#queue.retriable(), this.#repeatable()]) {
      if (!this.#queue.in("waiting").length) {
        others.forEach((picture) => picture.wait());
      }
    }
    if (!this.#queue.in("waiting").length) {
      this.#say(this.#queue.size ? "Nothing new to classify." : "Choose a picture first.");
      return;
    }
    if (this.#queue.in("waiting").some(({ card }) => card.hidden)) {
      this.#sift(false);
    }
    this.#run = new Run(this.#queue, this.gateway, this.models, {
      say: (...parts) => this.#say(...parts),
      onProgress: (finished, all) => this.#progress(finished, all),
    });
    addEventListener("beforeunload", ask);
    try {
      await this.#run.work();
      this.#say(...this.#run.summary());
    } catch (error) {
      this.#stopped(error);
    } finally {
      removeEventListener("beforeunload", ask);
      const cancelled = document.activeElement === find("cancel");
      this.#run = null;
      this.#refresh();
      if (cancelled) {
        find("submit").focus(); // the focused button is hidden now
      }
    }
  }

  #progress(finished, all) {
    find("progress").max = all;
    find("progress").value = finished;
    this.#refresh();
  }

  #stopped(error) {
    if (error.status === 401) {
      this.#say("");
      this.#askForKey(error);
    } else if (error instanceof Refusal) {
      this.#say(`${error.message} `, ...this.#run.summary());
    } else if (error.name === "AbortError") {
      this.#say("Cancelled. ", ...this.#run.summary());
    } else {
      this.#say("The page failed; reload it.");
      throw error;
    }
  }

  #retry(pictures) {
    if (!pictures.length) {
      this.#say("The server asked for a longer pause; try again in a moment.");
      return;
    }
    pictures.forEach((picture) => picture.wait());
    (pictures.length === 1 ? pictures[0].card : find("submit")).focus();
    this.#refresh();
    this.#start();
  }

  #remove(picture) {
    if (picture.state === "running") {
      return;
    }
    const shown = this.#queue.all().filter(({ card }) => !card.hidden);
    const place = shown.indexOf(picture);
    const neighbour = (shown[place + 1] ?? shown[place - 1])?.card;
    this.#queue.remove(picture);
    this.#run?.forget(picture);
    picture.discard();
    this.#say(isolated(picture.name), " removed.");
    if (!neighbour) {
      this.#sift(false);
    }
    this.#refresh();
    const isRunning = neighbour?.dataset.state === "running"; // its button is hidden
    (isRunning ? neighbour : (neighbour?.querySelector(".remove") ?? find("chooser"))).focus();
  }

  /**
   * Show only the pictures that have failed, or all. What is tried again then stays in sight, and
   * the focus with it.
   */
  #sift(only) {
    this.#sifted = only;
    for (const { card, state } of this.#queue.all()) {
      card.hidden = only && state !== "failed";
    }
    this.#refresh();
  }

  /** Let the reader save all labels and errors as a table. */
  #save() {
    const text = csv(this.#queue.all().flatMap(({ rows }) => rows));
    const url = URL.createObjectURL(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv" }));
    make("a", { href: url, download: "edgelens.csv" }).click();
    URL.revokeObjectURL(url);
  }

  #clear() {
    for (const picture of this.#queue.all()) {
      this.#queue.remove(picture);
      picture.discard();
    }
    this.#say("All pictures removed.");
    this.#refresh();
    find("chooser").focus();
  }

  #askForKey(refusal) {
    const message = this.key.value ? refusal.message : "This server requires an API key.";
    find("key-message").textContent = message;
    find("key-form").hidden = false;
    find("key").focus();
  }

  #useKey(value) {
    this.key.set(value);
    find("key").value = "";
    find("key-form").hidden = true;
    find("submit").focus();
    this.models.load();
  }

  #say(...parts) {
    find("status").replaceChildren(...parts);
  }

  /** What Classify would do now. */
  #offer(waiting) {
    const outdated = this.#outdated().length;
    const repeatable = this.#repeatable().length;
    if (waiting) {
      return `Classify ${counted(waiting)}`;
    }
    if (outdated) {
      return `Classify ${counted(outdated)} with ${find("model").value}`;
    }
    return repeatable ? `Classify ${counted(repeatable)} again` : "Classify";
  }

  #refresh() {
    const running = this.#run !== null;
    const waiting = this.#queue.in("waiting").length;
    const submit = find("submit");
    submit.textContent = running ? "Classify" : this.#offer(waiting);
    submit.setAttribute("aria-disabled", String(running));
    find("cancel").hidden = !running;
    find("progress").hidden = !running;
    find("clear").hidden = running || this.#sifted || !this.#queue.size; // hidden ones go too
    const failed = this.#queue.in("failed").length;
    const few = failed && failed < this.#queue.size;
    find("sift").hidden = !this.#sifted && (running || !few);
    find("sift").textContent = this.#sifted ? "Show all pictures" : `Show only the ${failed} failed`;
    find("save").hidden = running || !this.#queue.all().some(({ model }) => model);
    find("retry-all").hidden = running || this.#queue.failed().length < 2;
    find("results").hidden = !this.#queue.size;
  }
}

new Page();
