/** Why something did not work, in a sentence for the reader; `retryAfter` in seconds. */
export class Refusal extends Error {
  constructor(code, message, status = 0, retryAfter = 0) {
    super(message);
    Object.assign(this, { code, status, retryAfter });
  }

  static async from(response) {
    const body = await response.json().catch(() => ({}));
    const later = response.status >= 500 ? " Try again shortly." : "";
    const large = response.status === 413; // a proxy's own limit comes without our message
    const unexplained = large
      ? "This picture is larger than the server, or a proxy in front of it, accepts."
      : `The server answered ${response.status}.${later}`;
    const { code = large ? "too_large" : "unknown", message = unexplained } = body.error ?? {};
    const seconds = Number(response.headers.get("Retry-After"));
    return new Refusal(code, message, response.status, Number.isFinite(seconds) ? seconds : 0);
  }
}
