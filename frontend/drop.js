// The files of a drop, including those in folders.

const { compare } = new Intl.Collator(undefined, { numeric: true }); // "2.jpg" before "10.jpg"

/** Return the files of a drop; for a folder, the pictures in it at any depth. */
export async function dropped({ items, files }) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folders = entries.filter((entry) => entry.isDirectory);
  if (!folders.length) {
    return [...files];
  }
  const loose = entries.filter((entry) => entry.isFile).map(opened);
  const inside = (await Promise.all(folders.map(filesIn))).flat();
  return [...(await Promise.all(loose)), ...inside.filter(isPicture)];
}

// Few browsers know the type of HEIC; the server says what it is, and nothing else would.
const isPicture = ({ name, type }) => type.startsWith("image/") || /\.hei[cf]$/i.test(name);

const opened = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function filesIn(folder) {
  const entries = await entriesOf(folder);
  entries.sort((one, other) => compare(one.name, other.name)); // many systems keep no order
  const found = entries.map((entry) => (entry.isFile ? opened(entry) : filesIn(entry)));
  return (await Promise.all(found)).flat();
}

async function entriesOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) {
      return all; // it hands over a hundred at a time
    }
    all.push(...some);
  }
}

/** Tell whether text, such as an API key, is dragged onto a field for text. */
export function isForField(event) {
  const isText = !event.dataTransfer.types.includes("Files");
  return isText && event.target instanceof HTMLInputElement;
}
