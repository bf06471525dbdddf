// The API's documentation, built from the description that the gateway itself serves.

import { find, make } from "./elements.js";

const REFERENCE = "#/components/schemas/";
const LONG_SHAPE = 30; // lines of JSON after which an example is folded

/** Return a text's parts; text between backquotes becomes code. */
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

/** Return a box for code that a keyboard can scroll. */
function box(label, text) {
  const attributes = { tabindex: "0", role: "group", "aria-label": label };
  return make("pre", attributes, make("code", {}, text));
}

const heading = (text) => make("h4", {}, text);
const anchor = (id) => `op-${id}`;

/** One OpenAPI document, and the example values that follow from its schemas. */
class Description {
  constructor(document) {
    Object.assign(this, document);
  }

  /** Return [method, path, operation] of all operations with a tag. */
  operations(tag) {
    return Object.entries(this.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, operation]) => operation.tags.includes(tag))
        .map(([method, operation]) => [method, path, operation]),
    );
  }

  /** Make up a value that fits a schema. */
  example(schema) {
    const { $ref, examples, const: constant, oneOf, type, properties, items } = schema;
    if ($ref) {
      return this.example(this.components.schemas[$ref.replace(REFERENCE, "")]);
    }
    if (examples ?? schema.enum) {
      return (examples ?? schema.enum)[0];
    }
    if (constant !== undefined || oneOf) {
      return oneOf ? this.example(oneOf[0]) : constant;
    }
    if (properties) {
      const entries = Object.entries(properties);
      return Object.fromEntries(entries.map(([key, value]) => [key, this.example(value)]));
    }
    if (items) {
      return [this.example(items)];
    }
    return { string: "text", integer: 1, number: 0.5, boolean: true }[[type].flat()[0]];
  }
}

/** Return one shell command for each way a request can be written. */
function commands(path, operation) {
  const url = new URL(`.${path}`, document.baseURI).href;
  const key = operation.security ? ' -H "Authorization: Bearer $KEY"' : "";
  const types = Object.keys(operation.requestBody?.content ?? {});
  if (!types.length) {
    return [["", `curl${key} ${url}`]];
  }
  const encoded = "base64 -w0 photo.jpg |";
  const json = `printf '{"image": "%s"}' "$(base64 -w0 photo.jpg)" |`;
  const written = {
    "multipart/form-data": `curl${key} -F 'images[]=@one.jpg' -F 'images[]=@two.png' ${url}`,
    "application/json": `${json} curl${key} --json @- ${url}`,
    "image/*": `curl${key} -H 'Content-Type: image/jpeg' --data-binary @photo.jpg ${url}`,
    "application/x-www-form-urlencoded": `${encoded} curl${key} --data-urlencode image@- ${url}`,
  };
  const plain = (type) => `curl${key} -H 'Content-Type: ${type}' --data-binary @photo ${url}`;
  return types.map((type) => [type, written[type] ?? plain(type)]);
}

function table(rows) {
  const body = rows.map(([name, ...cells]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("code", {}, name)),
      ...cells.map((cell) => make("td", {}, ...prose(cell))),
    ),
  );
  return make("table", { class: "facts-table" }, make("tbody", {}, ...body));
}

/** Say in words what a parameter may be. */
function limits({ type, minimum, maximum, default: standard, examples }) {
  const facts = [type];
  if (minimum !== undefined) {
    facts.push(`from ${minimum} to ${maximum}`);
  }
  if (standard !== undefined) {
    facts.push(`default ${standard}`);
  }
  if (examples) {
    facts.push(`such as ${examples[0]}`);
  }
  return facts.join(", ");
}

function parametersOf(operation) {
  if (!operation.parameters?.length) {
    return [];
  }
  const rows = operation.parameters.map(({ name, description, schema }) => [
    name,
    description,
    limits(schema),
  ]);
  return [heading("Parameters"), table(rows)];
}

function requestOf(path, operation) {
  const examples = commands(path, operation).flatMap(([type, command]) => [
    ...(type ? [make("code", {}, type)] : []),
    box(`Command: ${path} ${type}`.trim(), command),
  ]);
  const about = operation.requestBody?.description;
  return [heading("Request"), ...(about ? [make("p", {}, ...prose(about))] : []), ...examples];
}

function answerExample(description, response) {
  const [type, { schema = {} }] = Object.entries(response.content ?? {})[0] ?? ["", {}];
  if (!type.includes("json") || !Object.keys(schema).length) {
    return null;
  }
  return JSON.stringify(description.example(schema), null, 2) ?? null;
}

function answersOf(description, operation) {
  const responses = Object.entries(operation.responses);
  const rows = responses.map(([status, response]) => {
    const headers = Object.keys(response.headers ?? {}).join(", ");
    return [status, response.description, headers ? `with ${headers}` : ""];
  });
  const example = answerExample(description, operation.responses["200"] ?? {});
  if (!example) {
    return [heading("Responses"), table(rows)];
  }
  const text = box(`Response: ${operation.summary}`, example);
  const isLong = example.split("\n").length > LONG_SHAPE;
  const shown = isLong ? make("details", {}, make("summary", {}, "A response"), text) : text;
  return [heading("Responses"), shown, table(rows)];
}

function article(description, method, path, operation) {
  const badge = make("span", { class: `method ${method}` }, method.toUpperCase());
  return make(
    "article",
    { id: anchor(operation.operationId), "data-path": path, "data-method": method },
    make("h3", {}, badge, " ", make("code", {}, path)),
    make("p", {}, ...prose([operation.summary, operation.description].filter(Boolean).join(". "))),
    ...parametersOf(operation),
    ...requestOf(path, operation),
    ...answersOf(description, operation),
  );
}

function group(description, tag) {
  return [
    make("h2", { class: "group" }, tag.description.replace(/\.$/, "")),
    ...description.operations(tag.name).map((entry) => article(description, ...entry)),
  ];
}

function contents(description, tag) {
  const links = description.operations(tag.name).map(([method, path, { operationId }]) => {
    const name = `${method.toUpperCase()} ${path}`;
    return make("li", {}, make("a", { href: `#${anchor(operationId)}` }, name));
  });
  return [make("h2", {}, tag.description.replace(/\.$/, "")), make("ul", {}, ...links)];
}

/** Say how an error looks and how to authenticate, once for all operations. */
function conventions(description) {
  const shape = "All errors have the same shape; 429 and 503 say in `Retry-After` when to retry.";
  const error = JSON.stringify({ error: { code: "not_a_picture", message: "…" } });
  const parts = [
    make("p", {}, ...prose(shape)),
    box("The shape of an error", error),
  ];
  if (description.components.securitySchemes) {
    const key = "This server requires an API key: `Authorization: Bearer …` or `X-API-Key: …`.";
    parts.push(make("p", {}, ...prose(key)));
  }
  return make("article", { id: "conventions" }, ...parts);
}

async function main() {
  const about = find("about");
  try {
    const response = await fetch("openapi.json");
    const description = new Description(await response.json());
    const { info, tags } = description;
    about.textContent = `${info.title} ${info.version}. ${info.description}`;
    const each = (write) => tags.flatMap((tag) => write(description, tag));
    find("contents").append(...each(contents));
    find("operations").append(conventions(description), ...each(group));
    find(location.hash.slice(1))?.scrollIntoView();
  } catch (error) {
    about.textContent = "openapi.json cannot be read; is the server running?";
    throw error;
  }
}

main();
