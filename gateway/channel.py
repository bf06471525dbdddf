"""Waitress's connections, with our errors in JSON; slow and greedy clients are cut off."""

import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest
from werkzeug.datastructures import Headers

from gateway.admission import Ticket
from gateway.body import Body
from gateway.budget import NO_ROOM
from gateway.errors import EdgeLensError, Overloaded, TooLarge
from gateway.headers import add_headers
from gateway.pace import Pace
from gateway.refusals import JSON_TYPE, refusal_body, refusal_headers

WORK = frozenset({"/predict", "/v1/classify"})
LONGEST = 600.0  # seconds in which a request must have arrived, however steadily it comes
PIECE = 16 * 1024  # bytes parsed at a time: as many requests as fit are parsed before they count
MOST_QUEUED = 4  # requests of one connection
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
        self.pace = Pace(self.began)
        self.body: Body | None = None
        self.examined = False
        self.client = ""
        self.ticket: Ticket | None = None
        self.refusal: EdgeLensError | None = None

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the headers, and make room for the body."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # urlsplit's, which waitress lets through: `http://[`
            raise ParsingError("Bad URI") from error
        if self.body_rcv is not None:  # an empty one is false
            self.body = self.body_rcv.buf = Body(self.adj.inbuf_overflow)

    def received(self, data: bytes) -> int:
        """Take in what is this request's; waitress bounds no line between chunks."""
        consumed: int = super().received(data)
        if self.chunked:
            between = len(self.body_rcv.control_line) + len(self.body_rcv.trailer)
            if between > self.adj.max_request_header_size:
                self.error, self.completed = BadRequest("Endless line"), True
        return consumed

    @property
    def route(self) -> str:
        """Return the path as the application will see it."""
        return "/" + self.path.lstrip("/")

    @property
    def is_work(self) -> bool:
        """Tell whether this is a request to classify pictures."""
        return not self.error and self.command == "POST" and self.route in WORK

    @property
    def size(self) -> int:
        """Return the bytes that its body takes up."""
        return self.body_bytes_received if self.body is not None and self.body.kept else 0

    def refuse(self, error: EdgeLensError) -> None:
        """Answer with this error once the body, which is not kept, has gone by."""
        # Waitress answers what has an `error` by its error task, without the application.
        self.error = self.refusal = error
        if self.body is not None:
            self.body.drop()

    def is_too_slow(self, now: float) -> bool:
        """Tell whether it arrives more slowly than any honest client sends."""
        return self.pace.is_slow(now, self.body_bytes_received) or now - self.began > LONGEST


class RefusalTask(ErrorTask):  # type: ignore[misc]
    """Answer an error of HTTP itself, or a request that was not admitted, in our one shape."""

    def execute(self) -> None:
        """Write the answer; the connection stays open only where its bytes are in step."""
        # What turned out not to be HTTP after its refusal leaves the bytes out of step.
        refusal = self.request.refusal if self.request.refusal is self.request.error else None
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
        """Return the WSGI environment with the ticket and the client's own address in it.

        Waitress would answer a proxy's malformed header itself, and log what it holds.
        """
        environ: dict[str, Any] = super().get_environment()
        environ["REMOTE_ADDR"] = self.channel.server.client_of(self.channel, self.request)
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

    connected: bool
    request: Request | None
    requests: list[Request]
    total_outbufs_len: int
    refuse_now = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.sent = 0
        self.pace = Pace(time.monotonic())
        self.current: Request | None = None  # waits for a thread, or is with one
        super().__init__(*arguments, **options)

    def received(self, data: bytes) -> bool:
        """Take in what has arrived, and answer at once what was refused.

        A refusal needs no thread: under overload, handing each over would cost more than the
        answer, and that time would be missing for the pictures that were admitted.
        """
        taken = True
        for at in range(0, len(data), PIECE):
            taken = super().received(data[at : at + PIECE])
            self._examine()
            while self.refuse_now:
                self.refuse_now = False
                self.server.task_dispatcher.serve(self)
            if not taken or self._cut_queue():
                break
        return taken

    def done(self, request: Request) -> None:
        """Let go of a request that needs no thread any more."""
        request.close()
        if self.current is request:
            self.current = None
        self.count()

    def count(self) -> bool:
        """Count what this connection keeps; tell whether it may."""
        fits: bool = self.server.budget.count(self, self._kept)
        return fits

    def refuse(self, error: EdgeLensError) -> None:
        """Refuse the request that is arriving."""
        if self.request is not None:
            self.request.refuse(error)
            self.server.count_refusal(self.request.route, error)
            self.count()

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the client takes, and count it."""
        sent: int = super().send(data, do_close)
        self.sent += sent
        return sent

    def is_stuck(self, now: float) -> bool:
        """Tell whether the client hardly sends its request, or hardly reads its answers."""
        return self._takes_too_slowly(now) or self._sends_too_slowly(now)

    def is_idle(self) -> bool:
        """Tell whether nothing is being done or sent for this connection."""
        return not self.requests and not self.total_outbufs_len

    def del_channel(self, map: Any = None) -> None:
        """Forget the connection; what still waits for a thread or is with one counts on."""
        super().del_channel(map)
        if self.request is not None:
            self.request.close()
        self.count()

    def _kept(self) -> int:
        if not self.connected:
            return self.current.size if self.current else 0
        arriving = self.request.size if self.request is not None else 0
        return arriving + sum(r.size for r in self.requests) + self.total_outbufs_len

    def _takes_too_slowly(self, now: float) -> bool:
        if self.total_outbufs_len:
            return self.pace.is_slow(now, self.sent)
        self.pace.restart(now, self.sent)
        return False

    def _sends_too_slowly(self, now: float) -> bool:
        if self.request is None:
            return False
        if self.is_idle():
            return self.request.is_too_slow(now)
        # It is not read on before those that came first are answered.
        self.request.pace.restart(now, self.request.body_bytes_received)
        return False

    def _examine(self) -> None:
        """Refuse what has no chance before its body has arrived."""
        fits, request = self.count(), self.request
        if request is None or request.body is None or request.refusal:
            return
        try:
            if not request.examined:
                request.examined = True
                self.server.examine(self, request)
            if request.body.failed:
                raise Overloaded(NO_ROOM, self.server.retry_after())
        except EdgeLensError as error:
            self.refuse(error)
        if not fits and request.body.kept:
            self.server.make_room()

    def _cut_queue(self) -> bool:
        """Answer no more than a few requests that came at once, then close the connection.

        Who sends thousands and reads no answer would keep threads waiting for ever.
        """
        with self.requests_lock:
            excess = len(self.requests) > MOST_QUEUED
            if excess:
                del self.requests[MOST_QUEUED:]
                self.requests[-1].headers["CONNECTION"] = "close"
                self.request = None
        return excess
