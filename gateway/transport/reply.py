"""What waitress does with a request: hand it to the application, or answer its refusal in JSON."""

from typing import Any

from waitress.task import ErrorTask, WSGITask

from gateway.admission import TICKET
from gateway.errors import TooLarge
from gateway.headers import NO_STORE, answer_headers, request_id
from gateway.refusals import JSON_TYPE, refusal_body, refusal_headers

MESSAGES = {
    400: ("bad_request", "The request is not valid HTTP."),
    413: (TooLarge.code, "The request is too large."),
    431: ("headers_too_large", "The request's headers are too large."),
    501: ("not_implemented", "This transfer encoding is not supported."),
}


class RefusalTask(ErrorTask):  # type: ignore[misc]
    """Answer invalid HTTP, or a request that was not admitted, in our one shape of errors."""

    def execute(self) -> None:
        """Write the answer; keep the connection open only if its byte stream is in sync."""
        # A request that was refused, and then proved not to be HTTP, leaves it out of sync.
        refusal = self.request.refusal if self.request.refusal is self.request.error else None
        path = self.request.route
        if refusal:
            status, headers = refusal.status, refusal_headers(refusal)
            body = refusal_body(path, refusal.code, refusal.message)
        else:
            status = self.request.error.code
            code, message = MESSAGES.get(status, ("internal_error", "The gateway failed."))
            headers, body = [("Content-Type", JSON_TYPE)], refusal_body(path, code, message)
            self.channel.server.count_answer("other", status)
        if not refusal or self.channel.server.draining:
            self.request.close_afterwards()
        origin = self.request.headers.get("ORIGIN", "")
        identity = request_id(self.request.headers.get("X_REQUEST_ID", ""))
        self.status = f"{status} {'Refused' if refusal else self.request.error.reason}"
        self.response_headers += [
            *headers,
            *answer_headers(origin, self.channel.server.cors_origins),
            ("Cache-Control", NO_STORE),
            ("X-Request-ID", identity),
        ]
        self.content_length = len(body)
        self.write(body if self.request.command != "HEAD" else b"")


class AppTask(WSGITask):  # type: ignore[misc]
    """Hand the request and its ticket to the application."""

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment with the ticket and the client's own address.

        Waitress itself would answer a proxy's malformed header with an error, and log its content.
        """
        environ: dict[str, Any] = super().get_environment()
        environ["REMOTE_ADDR"] = self.channel.server.client_of(self.channel, self.request)
        if self.request.ticket:
            environ[TICKET] = self.request.ticket
        if self.channel.server.draining:
            self.request.close_afterwards()
        return environ

    def set_close_on_finish(self) -> None:
        """Close the connection after this answer; a 304 leaves it open unless that is asked.

        Waitress closes it after every answer without a length, also if there is no body.
        """
        asked = self.version == "1.0" or self.request.headers.get("CONNECTION") == "close"
        if asked or self.has_body:
            super().set_close_on_finish()
