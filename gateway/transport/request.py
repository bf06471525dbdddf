"""A waitress request as it arrives: its body, its pace, and what became of it."""

import time
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

from gateway.admission import Ticket
from gateway.errors import EdgeLensError
from gateway.transport.body import Body
from gateway.transport.pace import Pace

WORK = frozenset({"/predict", "/v1/classify"})
TLS_HELLO = b"\x16\x03"  # a client uses https:// with a port that speaks http://
LONGEST = 600.0  # seconds a request may take to arrive, however steadily it comes


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request as it arrives, then its ticket once it is admitted, or why it was refused."""

    completed: bool
    command = path = ""  # are read even of a malformed request, which never got them

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.began = time.monotonic()
        self.pace = Pace(self.began)
        self.body: Body | None = None
        self.examined = False
        self.client = ""
        self.ticket: Ticket | None = None
        self.lane: Any = None  # of the dispatcher, where it waits for a thread once it is admitted
        self.refusal: EdgeLensError | None = None

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the headers, and make room for the body."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # from urlsplit; waitress does not catch it: `http://[`
            raise ParsingError("Bad URI") from error
        # Flask would redirect `http://example.org` to itself and a slash, to http:// behind TLS.
        self.path = self.path or "/"
        if "TRANSFER_ENCODING" in self.headers:  # waitress would take the body for more requests
            raise ParsingError("Transfer-Encoding needs HTTP/1.1")
        if self.body_rcv is not None:  # an empty one is false
            self.body = self.body_rcv.buf = Body(self.adj.inbuf_overflow)
        self._settle_connection()

    def received(self, data: bytes) -> int:
        """Take in this request's bytes; waitress does not limit the lines between chunks."""
        if not self.header_bytes_received and data.startswith(TLS_HELLO):
            self.error, self.completed = BadRequest("TLS"), True
            return len(data)
        consumed: int = super().received(data)
        if self.completed:  # refused already, or without a body: the client must send no more
            self.expect_continue = False
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

    @property
    def missing(self) -> int:
        """Return the bytes of its body that are still to come, as far as known."""
        return 0 if self.body is None else self.content_length - self.body_bytes_received

    def refuse(self, error: EdgeLensError) -> None:
        """Answer with this error once the body has been read; it is not kept."""
        # Waitress answers a request with an `error` by its error task, without the application.
        self.error = self.refusal = error
        if self.body is not None:
            self.body.drop()

    def close_afterwards(self) -> None:
        """Close the connection after the answer to this request, and say so in the answer."""
        # Waitress's `set_close_on_finish` would promise HTTP/1.0 in the same answer to keep it.
        self.headers["CONNECTION"] = "close"

    def is_too_slow(self, now: float) -> bool:
        """Tell whether it arrives more slowly than any honest client sends."""
        return self.pace.is_slow(now, self.body_bytes_received) or now - self.began > LONGEST

    def _settle_connection(self) -> None:
        """Reduce `Connection: TE, close` to what waitress understands, which is one option."""
        options = [one.strip() for one in self.headers.get("CONNECTION", "").lower().split(",")]
        # With two lengths, a proxy may have seen another end of this request: nothing may follow.
        if "close" in options or (self.chunked and "CONTENT_LENGTH" in self.headers):
            self.close_afterwards()
        elif "keep-alive" in options:
            self.headers["CONNECTION"] = "keep-alive"
