const BUSY = [429, 503];
const GONE = 502; // from a proxy: the server behind it restarts
const UNSTATED = 5; // seconds to wait for a busy server if a proxy does not pass on how long
const LONGEST = 3600; // seconds; a browser's timer that is set for more than 24 days ends at once

/** Return the seconds until it is worth trying again, 0 if it is not. */
function patience({ status, headers }, isOurs) {
  const seconds = Number(headers.get("Retry-After"));
  const isBusy = BUSY.includes(status) || (status === GONE && !isOurs);
  const unstated = isBusy ? UNSTATED : 0;
  return seconds > 0 ? Math.min(seconds, LONGEST) : unstated;
}

/** Why something did not work, in a sentence for the reader; `retryAfter` in seconds. */
export class Refusal extends Error {
  constructor(code, message, status = 0, retryAfter = 0) {
    super(message);
    Object.assign(this, { code, status, retryAfter });
  }

  /** Whether the server refused before it looked at the pictures. */
  get isBusy() {
    return BUSY.includes(this.status);
  }

  static async from(response) {
    const body = await response.json().catch(() => ({}));
    const later = response.status >= 500 ? " Try again shortly." : "";
    const large = response.status === 413; // a proxy's own limit comes without our message
    const unexplained = large
      ? "This picture is larger than the server, or a proxy in front of it, accepts."
      : `The server answered ${response.status}.${later}`;
    const isOurs = typeof body?.error?.message === "string";
    const ours = isOurs ? body.error : {};
    const unnamed = response.status >= 500 ? "unreachable" : "unknown"; // a proxy speaks for it
    const { code = large ? "too_large" : unnamed, message = unexplained } = ours;
    return new Refusal(code, message, response.status, patience(response, isOurs));
  }
}
