// The files of a drop, including those in folders.

const { compare } = new Intl.Collator(undefined, { numeric: true }); // "2.jpg" before "10.jpg"

/**
 * Return the files of a drop; for a folder, the pictures in it at any depth. The names of what
 * cannot be read are put into `lost`: many a disk has a folder that is not for everybody.
 */
export async function dropped({ items, files }, lost) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folders = entries.filter((entry) => entry.isDirectory);
  if (!folders.length) {
    return [...files];
  }
  const loose = entries.filter((entry) => entry.isFile);
  return [...(await filesOf(loose, lost)), ...(await filesOf(folders, lost)).filter(isPicture)];
}

// Few browsers know the type of HEIC; the server says what it is, and nothing else would.
const isPicture = ({ name, type }) => type.startsWith("image/") || /\.hei[cf]$/i.test(name);

const opened = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function filesOf(entries, lost) {
  return (await Promise.all(entries.map((entry) => read(entry, lost)))).flat();
}

async function read(entry, lost) {
  try {
    if (entry.isFile) {
      const file = await opened(entry);
      return [Object.assign(file, { path: entry.fullPath.slice(1) })]; // it begins with a slash
    }
    const entries = await entriesOf(entry);
    entries.sort((one, other) => compare(one.name, other.name)); // many systems keep no order
    return await filesOf(entries, lost);
  } catch {
    lost.push(entry.name);
    return [];
  }
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
