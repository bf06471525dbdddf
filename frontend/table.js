const TITLES = ["file", "rank", "label", "wnid", "probability", "model", "version", "error"];

// A cell that begins like a formula would be computed by a spreadsheet: a file's name may be anybody's.
const harmless = (text) => text.replace(/^[=+\-@\t\r]/, "'$&");
const quoted = (value) => `"${harmless(String(value ?? "")).replaceAll('"', '""')}"`;

/** Return rows of cells as CSV. */
export function csv(rows) {
  return [TITLES, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n");
}
