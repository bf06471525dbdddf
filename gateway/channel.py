"""Waitress's connections, with our errors in JSON and slow uploads cut off."""

import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, WSGITask
from werkzeug.datastructures import Headers

from gateway.admission import Ticket
from gateway.errors import EdgeLensError, TooLarge
from gateway.headers import add_headers
from gateway.refusals import JSON_TYPE, refusal_body, refusal_headers

SLOW_AFTER = 15.0  # seconds in which a request must have arrived, plus
SLOWEST = 16 * 1024  # bytes a second for its body
MESSAGES = {
    400: ("bad_request", "The request is not valid HTTP."),
    413: (TooLarge.code, "The request has too many bytes."),
    431: ("headers_too_large", "The request's headers are too large."),
    501: ("not_implemented", "This transfer encoding is not supported."),
}


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request as it arrives, then its place among those admitted, or why it has none."""

    path = ""  # what is hardly HTTP never gets one, and waitress asks for it

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.began = time.monotonic()
        self.ticket: Ticket | None = None
        self.refusal: EdgeLensError | None = None

    def is_too_slow(self, now: float) -> bool:
        """Tell whether it arrives slower than any honest client sends."""
        return bool(now - self.began > SLOW_AFTER + self.body_bytes_received / SLOWEST)


class RefusalTask(ErrorTask):  # type: ignore[misc]
    """Answer an error of HTTP itself, or a request that was not admitted, in our one shape."""

    def execute(self) -> None:
        """Write the answer; the connection stays open only where its bytes are in step."""
        refusal = self.request.refusal
        path = getattr(self.request, "path", "")
        if refusal:
            status, headers = refusal.status, refusal_headers(refusal)
            body = refusal_body(path, refusal.code, refusal.message)
        else:
            status = self.request.error.code
            code, message = MESSAGES.get(status, ("internal_error", "The gateway failed."))
            headers, body = (
                Headers([("Content-Type", JSON_TYPE)]),
                refusal_body(path, code, message),
            )
            self.set_close_on_finish()
        if self.channel.server.draining:
            self.set_close_on_finish()
        origin = self.request.headers.get("ORIGIN", "")
        add_headers(headers, origin, self.channel.server.cors_origins)
        self.status = f"{status} {'Refused' if refusal else self.request.error.reason}"
        self.response_headers.extend(headers)
        self.content_length = len(body)
        self.write(body)


class AppTask(WSGITask):  # type: ignore[misc]
    """Hand the request and its ticket to the application."""

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment with the ticket in it."""
        environ: dict[str, Any] = super().get_environment()
        if self.request.ticket:
            environ["edgelens.ticket"] = self.request.ticket
        if self.channel.server.draining:
            self.set_close_on_finish()
        return environ


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class = Request
    task_class = AppTask
    error_task_class = RefusalTask

    refuse_now = False

    def received(self, data: bytes) -> bool:
        """Take in what has arrived, and answer at once what was refused.

        A refusal needs no thread: under overload, handing each over would cost more than the
        answer, and that time would be missing for the pictures that were admitted.
        """
        taken: bool = super().received(data)
        while self.refuse_now:
            self.refuse_now = False
            self.server.task_dispatcher.serve(self)
        return taken

    def is_idle(self) -> bool:
        """Tell whether nothing is being done or sent for this connection."""
        return not self.requests and not self.total_outbufs_len
