// The upload page: pictures in, labels out. No dependencies, no build step, no other host.

const MEGABYTE = 1024 * 1024;
// At most, so that progress shows and a cancelled run has lost little; the server may take less.
const REQUEST_PICTURES = 8;
const REQUEST_BYTES = 48 * MEGABYTE;
const FORM_BYTES = 1024; // more than a form needs for each picture besides its own bytes
const UNLIMITED = { pictures: Infinity, picture_bytes: Infinity, request_bytes: Infinity };
const MODELS_PAUSE = 3; // seconds between two questions while no model is ready
const LONGEST_PAUSE = 30; // seconds the page waits by itself before it asks a busy server again
const SILENCE = 10; // seconds without an answer after which the page says that it still waits
const UNSURE = 0.3; // a best label below this is a guess
const SPOKEN_LABELS = 3; // more pictures than this are announced as a count only
const KEY_NAME = "edgelens-key";
const CSV_TITLES = ["file", "rank", "label", "wnid", "probability", "model", "version", "error"];
const UNREADABLE = "This file cannot be read any more; if it was moved or changed, choose it again.";
// Sending the same picture again would only be refused again.
const LASTING = new Set(["bad_request", "too_large", "not_a_picture", "undecodable_picture"]);

const find = (id) => document.getElementById(id);
const counted = (number) => (number === 1 ? "1 picture" : `${number} pictures`);
const megabytes = (bytes) => `${Number((bytes / MEGABYTE).toPrecision(3))} MB`;
const percent = (share) => {
  const rounded = `${(share * 100).toFixed(1)}%`;
  return { "0.0%": "<0.1%", "100.0%": ">99.9%" }[rounded] ?? rounded;
};

// A cell that begins like a formula would be computed by a spreadsheet: a file's name may be anybody's.
const harmless = (text) => text.replace(/^[=+\-@\t\r]/, "'$&");
const quoted = (value) => `"${harmless(String(value ?? "")).replaceAll('"', '""')}"`;

/** Return a file's name for a sentence, whose order of reading it must not change. */
function isolated(name) {
  return Object.assign(document.createElement("bdi"), { textContent: name });
}

/** Show a text in an element, or hide the element when there is none. */
function show(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** Why something did not work, in a sentence for the reader; `retryAfter` in seconds. */
class Refusal extends Error {
  constructor(code, message, status = 0, retryAfter = 0) {
    super(message);
    Object.assign(this, { code, status, retryAfter });
  }

  static async from(response) {
    const body = await response.json().catch(() => ({}));
    const later = response.status >= 500 ? " Try again shortly." : "";
    const large = response.status === 413; // a proxy's own limit has no words of ours
    const unexplained = large
      ? "This picture is larger than the server, or a proxy before it, takes."
      : `The server answered ${response.status}.${later}`;
    const { code = large ? "too_large" : "unknown", message = unexplained } = body.error ?? {};
    const seconds = Number(response.headers.get("Retry-After"));
    return new Refusal(code, message, response.status, Number.isFinite(seconds) ? seconds : 0);
  }
}

/** The API key, kept in the tab's session where the browser allows that. */
class Key {
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

/** The gateway's API. */
class Gateway {
  constructor(key) {
    this.key = key;
  }

  /** Return the models that can be asked, and the limits of a request. */
  async models() {
    return this.#ask("v1/models", {});
  }

  /** Return the answer for these files, one result each; raise Refusal or AbortError. */
  async classify(files, model, signal) {
    const body = new FormData();
    for (const file of files) {
      body.append("images[]", file, file.name || "picture");
    }
    const query = model ? `?model=${encodeURIComponent(model)}` : "";
    const answer = await this.#ask(`v1/classify${query}`, { method: "POST", body, signal });
    if (answer.results?.length !== files.length) {
      throw new Refusal("unknown", "The server's answer does not fit the pictures sent.");
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
        throw new Refusal("unreachable", "Something between here and the server answered instead.");
      }
      return await response.json();
    } catch (error) {
      if (error instanceof Refusal || error.name === "AbortError") {
        throw error;
      }
      const message = "The server cannot be reached: it is away, or the connection is too slow.";
      throw new Refusal("unreachable", message);
    }
  }
}

/** One picture and its card. Its state: waiting, running, done or failed. */
class Picture {
  #parts;
  #timer = 0;

  constructor(file, name, { onRetry, onRemove }) {
    this.file = file;
    this.name = name; // the file's, or that and a number where another one has it
    this.card = find("card").content.firstElementChild.cloneNode(true);
    this.#parts = Object.fromEntries(
      ["preview", "name", "state", "labels", "source", "retry", "remove"].map((name) => [
        name,
        this.card.querySelector(`.${name}`),
      ]),
    );
    this.#parts.name.textContent = name;
    this.#parts.name.title = name; // a long one is cut
    this.#parts.retry.addEventListener("click", () => onRetry(this));
    this.#parts.remove.setAttribute("aria-label", `Remove ${name}`);
    this.#parts.remove.addEventListener("click", () => onRemove(this));
    this.#preview();
    this.wait();
  }

  wait(why = "Not classified yet") {
    this.#become("waiting", why);
  }

  run() {
    if (this.card.contains(document.activeElement)) {
      this.card.focus(); // for the button that has it is hidden while this runs
    }
    this.#become("running", "Classifying…");
  }

  /** Show the labels, best first, and which model they come from. */
  finish(predictions, { model, version, weights }) {
    const unsure = predictions[0]?.probability < UNSURE;
    const remark = unsure ? "Not sure. It looks most like this:" : "";
    this.#become("done", predictions.length ? remark : "No label is probable enough.");
    this.card.classList.toggle("unsure", unsure);
    this.best = predictions[0];
    this.model = model;
    this.rows = predictions.map(({ label, wnid, probability }, index) => {
      return [this.name, index + 1, label, wnid, probability, model, version, ""];
    });
    const names = predictions.map((prediction) => prediction.label);
    const rows = predictions.map((prediction) => {
      const shared = names.filter((name) => name === prediction.label).length > 1;
      const name = shared ? `${prediction.label} (${prediction.wnid})` : prediction.label;
      return labelRow(name, prediction.probability);
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
    this.rows = [[this.name, "", "", "", "", "", "", message]];
    this.mayRetry = !LASTING.has(code);
    this.#parts.retry.hidden = !this.mayRetry;
    this.retryAt = Date.now() + retryAfter * 1000;
    this.#countDown();
  }

  discard() {
    clearTimeout(this.#timer);
    this.card.remove();
    this.#parts.preview.replaceChildren(); // nothing may ask for the address any more
    URL.revokeObjectURL(this.url);
  }

  #become(state, text) {
    clearTimeout(this.#timer);
    this.state = state;
    this.mayRetry = false;
    this.rows = [];
    this.card.dataset.state = state;
    show(this.#parts.state, text);
    this.#parts.retry.hidden = true;
    this.#parts.labels.hidden = true;
    this.#parts.source.hidden = true;
  }

  #countDown() {
    const left = Math.ceil((this.retryAt - Date.now()) / 1000);
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

/** Return a name that is not among those given yet, and add it: every pasted picture is image.png. */
function unused(wanted, names) {
  let name = wanted;
  for (let number = 2; names.has(name); number += 1) {
    name = `${wanted} (${number})`;
  }
  names.add(name);
  return name;
}

/** Tell whether a file can still be read: it may have been moved, or be a folder. */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** Return the files of a drop; of a folder, the pictures in it, however deep. */
async function dropped({ items, files }) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folders = entries.filter((entry) => entry.isDirectory);
  if (!folders.length) {
    return [...files];
  }
  const loose = entries.filter((entry) => entry.isFile).map(opened);
  const inside = (await Promise.all(folders.map(filesIn))).flat();
  const pictures = inside.filter(({ type }) => type.startsWith("image/"));
  return [...(await Promise.all(loose)), ...pictures];
}

const opened = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function filesIn(folder) {
  const reader = folder.createReader();
  const files = [];
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) {
      return files; // it hands over a hundred at a time
    }
    const found = entries.map((entry) => (entry.isFile ? opened(entry) : filesIn(entry)));
    files.push(...(await Promise.all(found)).flat());
  }
}

/** Tell whether text, an API key perhaps, is dragged to where text can be put. */
function isForField(event) {
  const isText = !event.dataTransfer.types.includes("Files");
  return isText && event.target instanceof HTMLInputElement;
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

/** Which model answers: shown, and chosen where there are several. */
class Models {
  #listed = [];
  limits = UNLIMITED; // until the server has told its own

  constructor(gateway, { onUnauthorized, onChoice }) {
    this.gateway = gateway;
    this.onUnauthorized = onUnauthorized;
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
    let wait = MODELS_PAUSE;
    try {
      const { models, limits } = await this.gateway.models();
      const before = this.asked; // "" follows the default, whichever it is now
      this.#listed = models;
      this.#limit(limits);
      if (this.#listed.length) {
        this.#fill(before);
        return;
      }
      find("model-line").textContent = "No model is ready yet.";
    } catch (refusal) {
      const locked = refusal.status === 401;
      const why = locked ? " without an API key." : `: ${refusal.message}`;
      find("model-line").textContent = `Not known${why}`;
      if (locked) {
        this.onUnauthorized(refusal);
        return;
      }
      wait = Math.max(wait, refusal.retryAfter || 0);
    }
    setTimeout(() => this.load(), wait * 1000);
  }

  /** Ask again what is served where an answer shows that it has changed. */
  check({ model, version }) {
    const known = this.#listed.find(({ name }) => name === model);
    if (!known?.versions.includes(version) || model !== find("model").value) {
      this.load();
    }
  }

  #limit(limits) {
    this.limits = limits;
    show(find("size-limit"), `; up to ${megabytes(limits.picture_bytes)} each`);
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
    find("model-line").replaceChildren(
      Object.assign(document.createElement("strong"), { textContent: name }),
      ` ${facts.join(" · ")}`,
    );
    const note = `Stands in for ${absent}, whose trained weights this server does not have.`;
    show(find("model-note"), absent ? note : "");
    const warning = `${name} has random weights: it was never trained; its labels mean nothing.`;
    show(find("model-warning"), weights === "random" ? warning : "");
    this.onChoice();
  }
}

/** The page: a queue of pictures, and the run that works through it. */
class Page {
  #pictures = [];
  #why = ""; // the server wants to be left alone for a while
  #run = null; // the AbortController of the run under way
  #finished = new Set(); // the pictures of that run that have an answer

  constructor() {
    this.key = new Key();
    this.gateway = new Gateway(this.key);
    this.models = new Models(this.gateway, {
      onUnauthorized: (refusal) => this.#askForKey(refusal),
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
    const names = new Set(this.#pictures.map(({ name }) => name));
    const added = [...files].map((file) => new Picture(file, unused(file.name, names), actions));
    const most = this.models.limits.picture_bytes;
    const large = added.filter(({ file }) => file.size > most);
    for (const picture of large) {
      const message = `This file is larger than ${megabytes(most)}, the most that is taken.`;
      picture.fail({ code: "too_large", message });
    }
    this.#pictures.push(...added);
    find("pictures").append(...added.map(({ card }) => card));
    const refused = large.flatMap(({ name }, index) => [index ? ", " : " Too large: ", isolated(name)]);
    this.#say(`${counted(added.length - large.length)} added.`, ...refused);
    this.#refresh();
  }

  #listenToForms() {
    for (const chooser of [find("chooser"), find("camera")]) {
      const take = () => {
        this.add(chooser.files);
        chooser.value = ""; // so that the same file can be chosen again
      };
      chooser.addEventListener("change", take);
      take(); // what was chosen while this script was on its way
    }
    find("upload").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#start();
    });
    find("cancel").addEventListener("click", () => this.#run?.abort());
    find("retry-all").addEventListener("click", () => this.#retry(this.#retryable()));
    find("save").addEventListener("click", () => this.#save());
    find("clear").addEventListener("click", () => this.#clear());
    find("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#useKey(find("key").value.trim());
    });
  }

  #listenToDocument() {
    document.addEventListener("paste", (event) => {
      const files = event.clipboardData?.files ?? [];
      if (!files.length && !(event.target instanceof HTMLInputElement)) {
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
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) {
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
      const files = await dropped(event.dataTransfer).catch(() => null);
      if (!files?.length) {
        this.#say(files ? "There is no picture in this folder." : "This folder cannot be read.");
      }
      this.add(files ?? []);
    });
  }

  #in(state) {
    return this.#pictures.filter((picture) => picture.state === state);
  }

  /** The pictures whose labels come from another model than the chosen one. */
  #outdated() {
    const name = find("model").value;
    return this.#in("done").filter(({ model }) => name && model !== name);
  }

  #retryable() {
    return this.#pictures.filter(({ mayRetry, retryAt }) => mayRetry && retryAt <= Date.now());
  }

  /** Work through the queue; pictures that are added meanwhile are taken along. */
  async #start() {
    if (this.#run) {
      return;
    }
    if (!this.#in("waiting").length) {
      this.#outdated().forEach((picture) => picture.wait());
    }
    if (!this.#in("waiting").length) {
      this.#say(this.#pictures.length ? "Nothing new to classify." : "Choose a picture first.");
      return;
    }
    this.#run = new AbortController();
    this.#finished.clear();
    try {
      while (this.#in("waiting").length) {
        await this.#step(this.#run.signal);
      }
      this.#say(...this.#summary());
    } catch (error) {
      this.#stopped(error);
    } finally {
      const cancelled = document.activeElement === find("cancel");
      this.#run = null;
      this.#refresh();
      if (cancelled) {
        find("submit").focus(); // what had the focus is hidden now
      }
    }
  }

  /** Classify the next few pictures; a busy server is left alone for as long as it asked. */
  async #step(signal) {
    const pictures = this.#next();
    pictures.forEach((picture) => picture.run());
    this.#progress();
    const readable = [];
    for (const picture of pictures) {
      if (await isReadable(picture.file)) {
        readable.push(picture);
      } else {
        picture.fail({ code: "bad_request", message: UNREADABLE });
      }
    }
    let wait = 0;
    try {
      wait = readable.length ? await this.#send(readable, signal) : 0;
    } finally {
      const answered = pictures.filter(({ state }) => state === "done" || state === "failed");
      answered.forEach((picture) => this.#finished.add(picture));
    }
    this.#progress();
    if (wait && this.#in("waiting").length) {
      this.#say(`${this.#why} Going on in ${wait} s.`);
      await pause(wait, signal);
    }
  }

  /** Take the pictures of the next request: as many as the server accepts in one. */
  #next() {
    const { pictures, request_bytes } = this.models.limits;
    const most = Math.min(REQUEST_PICTURES, pictures);
    const room = Math.min(REQUEST_BYTES, request_bytes);
    const [first, ...others] = this.#in("waiting").slice(0, most);
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

  /** Send one request; return the seconds the server wants to be left alone. */
  async #send(pictures, signal) {
    const silence = setTimeout(() => {
      this.#say("Still sending, or waiting for the server; Cancel keeps the pictures here.");
    }, SILENCE * 1000);
    try {
      const files = pictures.map(({ file }) => file);
      const answer = await this.gateway.classify(files, this.models.asked, signal);
      this.models.check(answer);
      pictures.forEach((picture, index) => {
        const result = answer.results[index];
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
        return this.#sendEach(pictures, signal); // this server's limits are lower than usual
      }
      if (error.retryAfter && error.retryAfter <= LONGEST_PAUSE) {
        pictures.forEach((picture) => picture.wait(error.message)); // until it can, or Cancel
        this.#why = error.message;
        return error.retryAfter;
      }
      pictures.forEach((picture) => picture.fail(error));
      if (error.code === "unknown_model") {
        this.models.load(); // it is served no longer
      }
      if (error.code === "unreachable") {
        throw error; // so would all others be: they wait for the reader
      }
      return error.retryAfter;
    } finally {
      clearTimeout(silence);
    }
    return 0;
  }

  async #sendEach(pictures, signal) {
    const unsent = [...pictures];
    try {
      while (unsent.length) {
        const wait = await this.#send([unsent.shift()], signal);
        if (wait) {
          return wait;
        }
      }
    } finally {
      unsent.forEach((picture) => picture.wait());
    }
    return 0;
  }

  #stopped(error) {
    if (error.status === 401) {
      this.#say("");
      this.#askForKey(error);
    } else if (error.code === "unreachable") {
      this.#say(`${error.message} `, ...this.#summary());
    } else if (error.name === "AbortError") {
      this.#say("Cancelled. ", ...this.#summary());
    } else {
      this.#say("The page failed; reload it.");
      throw error;
    }
  }

  /** Say what has come of the run, in parts. */
  #summary() {
    const finished = [...this.#finished];
    const done = finished.filter(({ state }) => state === "done");
    const failed = finished.length - done.length;
    const spoken = done.length <= SPOKEN_LABELS ? done.filter(({ best }) => best) : [];
    const labels = spoken.flatMap(({ name, best }) => {
      return [" ", isolated(name), `: ${best.label}, ${percent(best.probability)}.`];
    });
    const rest = failed ? `, ${failed} failed` : "";
    return [`${counted(done.length)} classified${rest}.`, ...labels];
  }

  #progress() {
    const left = this.#in("waiting").length + this.#in("running").length;
    const finished = this.#finished.size;
    find("progress").max = finished + left;
    find("progress").value = finished;
    const failed = [...this.#finished].filter(({ state }) => state === "failed").length;
    this.#say(`${finished} of ${counted(finished + left)} done${failed ? `, ${failed} failed` : ""}.`);
    this.#refresh();
  }

  #retry(pictures) {
    if (!pictures.length) {
      this.#say("The server asked to be left alone a little longer.");
      return;
    }
    for (const picture of pictures) {
      picture.wait();
      this.#finished.delete(picture);
    }
    (pictures.length === 1 ? pictures[0].card : find("submit")).focus();
    this.#refresh();
    this.#start();
  }

  #remove(picture) {
    if (picture.state === "running") {
      return;
    }
    const neighbour = picture.card.nextElementSibling ?? picture.card.previousElementSibling;
    this.#pictures = this.#pictures.filter((other) => other !== picture);
    picture.discard();
    this.#say(isolated(picture.name), " removed.");
    this.#refresh();
    const isRunning = neighbour?.dataset.state === "running"; // its button is hidden
    (isRunning ? neighbour : (neighbour?.querySelector(".remove") ?? find("chooser"))).focus();
  }

  /** Let the reader keep what is shown, as a table. */
  #save() {
    const rows = [CSV_TITLES, ...this.#pictures.flatMap(({ rows }) => rows)];
    const text = rows.map((row) => row.map(quoted).join(",")).join("\r\n");
    const url = URL.createObjectURL(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv" }));
    Object.assign(document.createElement("a"), { href: url, download: "edgelens.csv" }).click();
    URL.revokeObjectURL(url);
  }

  #clear() {
    this.#pictures.forEach((picture) => picture.discard());
    this.#pictures = [];
    this.#say("All pictures removed.");
    this.#refresh();
    find("chooser").focus();
  }

  #askForKey(refusal) {
    const message = this.key.value ? refusal.message : "This server asks for an API key.";
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

  #refresh() {
    const running = this.#run !== null;
    const waiting = this.#in("waiting").length;
    const again = waiting || running ? 0 : this.#outdated().length;
    const submit = find("submit");
    submit.textContent = waiting && !running ? `Classify ${counted(waiting)}` : "Classify";
    if (again) {
      submit.textContent = `Classify ${counted(again)} with ${find("model").value}`;
    }
    submit.setAttribute("aria-disabled", String(running));
    find("cancel").hidden = !running;
    find("progress").hidden = !running;
    find("clear").hidden = running || !this.#pictures.length;
    find("save").hidden = running || !this.#in("done").length;
    const failed = this.#pictures.filter(({ mayRetry }) => mayRetry);
    find("retry-all").hidden = running || failed.length < 2;
    find("results").hidden = !this.#pictures.length;
    document.body.classList.toggle("running", running);
  }
}

new Page();
