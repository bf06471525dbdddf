// Numbers and sizes as people read them.

const MEGABYTE = 1024 * 1024;

/** More pictures than this are announced as a count only. */
export const MOST_SPOKEN = 3;
export const counted = (number) => (number === 1 ? "1 picture" : `${number} pictures`);
export const megabytes = (bytes) => `${Number((bytes / MEGABYTE).toPrecision(3))} MB`;
export const percent = (share) => {
  const rounded = `${(share * 100).toFixed(1)}%`;
  return { "0.0%": "<0.1%", "100.0%": ">99.9%" }[rounded] ?? rounded;
};
