"""Waitress's connections; those that send or keep too much, or are too slow, are cut off."""

import time
from threading import Condition
from typing import Any

from waitress.channel import HTTPChannel

from gateway.errors import EdgeLensError
from gateway.transport.pace import Pace
from gateway.transport.reply import AppTask, RefusalTask
from gateway.transport.request import Request

PIECE = 16 * 1024  # bytes parsed at a time; all requests in them are parsed before they are counted
MOST_QUEUED = 4  # requests of one connection


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class = Request
    task_class = AppTask
    error_task_class = RefusalTask

    connected: bool
    outbuf_lock: Condition  # a reentrant one
    request: Request | None
    requests: list[Request]
    total_outbufs_len: int
    refuse_now = False
    writing = False  # a thread is sending right now

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.sent = 0
        self.pace = Pace(time.monotonic())
        self.current: Request | None = None  # waits for a thread, or is with one
        super().__init__(*arguments, **options)

    @property
    def last_activity(self) -> float:
        """Return when something last happened, by a clock that nobody sets."""
        return self.active_at

    @last_activity.setter
    def last_activity(self, _: float) -> None:
        """Take note that waitress sees something happen; it gives the date."""
        self.active_at = time.monotonic()

    def received(self, data: bytes) -> None:
        """Take in what has arrived, and answer refused requests at once.

        A refusal needs no thread: under overload, handing each one over would cost more than
        answering it, and take that time from the admitted pictures.
        """
        while data:
            piece = PIECE if self.request is None else max(PIECE, self.request.missing)
            super().received(data[:piece])
            data = data[piece:]
            self._examine()
            is_cut = self._cut_queue()  # first, because it limits refusals too
            while self.refuse_now:
                self.refuse_now = False
                self.service()
            if is_cut:
                break

    def send_continue(self) -> None:
        """Ask for the body, or refuse at once if it would be sent in vain.

        A request that comes with an earlier one is asked for its body when that one is answered.
        Nothing can be queued then, so it is refused once its body has been read.
        """
        comes_alone = self.current is None
        if comes_alone:
            self._examine()
        if comes_alone and self.request is not None and self.request.refusal:
            self.request.close_afterwards()  # the body may be on its way already
            self.request.completed = True
        else:
            with self.outbuf_lock:
                if self.connected:
                    super().send_continue()

    def _flush_some(self, do_close: bool = True) -> bool:
        """Send what can be sent: one thread at a time, and only the loop closes the connection."""
        with self.outbuf_lock:
            do_close = do_close and self.server.task_dispatcher.is_loop()
            return bool(super()._flush_some(do_close=do_close))

    def service(self) -> None:
        """Answer the first request in the queue, and free its place."""
        request = self.requests[0]
        try:
            super().service()
        finally:
            self.server.task_dispatcher.finish(self, request)

    def done(self, request: Request) -> None:
        """Release a request that no longer needs a thread."""
        request.close()
        if self.current is request:
            self.current = None
        self.count()

    def count(self) -> bool:
        """Count what this connection keeps; tell whether it may keep that."""
        fits: bool = self.server.budget.count(self, self._kept)
        return fits

    def refuse(self, error: EdgeLensError) -> None:
        """Refuse the request that is arriving."""
        if self.request is not None:
            self.request.refuse(error)
            self.server.count_refusal(self.request, error)
            self.count()

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the client takes, and count it."""
        sent: int = super().send(data, do_close)
        self.sent += sent
        return sent

    def write_soon(self, data: bytes) -> int:
        """Send from this thread; what the client does not take is left to the loop at the end."""
        # With more than this pending, the thread waits until the loop has sent it.
        self.writing = self.total_outbufs_len <= self.adj.outbuf_high_watermark
        try:
            return int(super().write_soon(data))
        finally:
            self.writing = False

    def writable(self) -> bool:
        """Tell whether the loop has something to send that no thread is sending.

        Otherwise the loop would spin, and slow that thread down.
        """
        return not self.writing and bool(super().writable())

    def is_stuck(self, now: float) -> bool:
        """Tell whether the client sends its request, or reads its answers, too slowly."""
        return self._takes_too_slowly(now) or self._sends_too_slowly(now)

    def is_idle(self) -> bool:
        """Tell whether nothing is being done or sent for this connection."""
        return not self.requests and not self.total_outbufs_len

    def is_unused(self) -> bool:
        """Tell whether this connection is idle and no request is arriving on it."""
        return self.is_idle() and self.request is None

    def del_channel(self, map: Any = None) -> None:
        """Forget the connection and its waiting requests; one that a thread has still counts."""
        super().del_channel(map)
        if self.request is not None:
            self.request.close()
        self.server.task_dispatcher.forget(self)
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
        # No more of it is read until the requests before it are answered.
        self.request.pace.restart(now, self.request.body_bytes_received)
        return False

    def _examine(self) -> None:
        """Refuse a request that has no chance, before its body has arrived."""
        fits, request = self.count(), self.request
        if request is None or request.body is None or request.refusal:
            return
        try:
            if not request.examined:
                request.examined = True
                self.server.examine(self, request)
            self.server.require_size(request)
            self.server.require_kept(request)
        except EdgeLensError as error:
            self.refuse(error)
        if not fits and request.body.kept:
            self.server.refuse_greediest()

    def _cut_queue(self) -> bool:
        """Answer only the first few requests that came together, then close the connection.

        A client that sends thousands and reads no answer would keep threads waiting for ever.
        """
        with self.requests_lock:
            excess = len(self.requests) > MOST_QUEUED
            if excess:
                del self.requests[MOST_QUEUED:]
                self.requests[-1].close_afterwards()
        return excess
