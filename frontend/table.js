const TITLES = ["file", "rank", "label", "wnid", "probability", "model", "version", "error"];

// A spreadsheet would compute a cell that begins like a formula; anybody may have named a file.
// Full-width signs begin one too, for a spreadsheet in Japanese.
const harmless = (text) => text.replace(/^[=+\-@＝＋－＠\t\r]/, "'$&");
const quoted = (value) => `"${harmless(String(value ?? "")).replaceAll('"', '""')}"`;

/** Return rows of cells as CSV. */
export function csv(rows) {
  return [TITLES, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n");
}
