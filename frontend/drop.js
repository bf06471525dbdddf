// The files of a drop, including those in folders.

/** Return the files of a drop; for a folder, the pictures in it at any depth. */
export async function dropped({ items, files }) {
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

/** Tell whether text, such as an API key, is dragged onto a field for text. */
export function isForField(event) {
  const isText = !event.dataTransfer.types.includes("Files");
  return isText && event.target instanceof HTMLInputElement;
}
