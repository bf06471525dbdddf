"""The production server: waitress, which buffers whole requests before a thread sees them."""

import contextlib
import logging
import math
import os
import re
import resource
import tempfile
import threading
import time
from collections import Counter
from types import FrameType
from typing import Any
from urllib.parse import parse_qs

from flask import Flask
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from werkzeug.datastructures import Headers

from gateway.config import Settings
from gateway.errors import EdgeLensError, Overloaded, TooLarge
from gateway.services import Services
from gateway.setting import SettingError
from gateway.transport.channel import Channel
from gateway.transport.dispatcher import Dispatcher
from gateway.transport.request import WORK, Request
from gateway.uploads import DISK_FULL

logger = logging.getLogger(__name__)
CONNECTIONS = 1000
CROWDED = 900  # from this many connections on, a new one replaces an idle one
SPARE_DESCRIPTORS = 100  # for everything else
ACCEPTED_AT_ONCE = 64  # connections
# Seconds to wait after a refusal, so that others come and are refused together. Under overload,
# each wake-up of this process takes CPU caches from the model's threads, which costs them more than
# the refusal.
REST = 0.01
IDLE_SECONDS = 120  # a connection without a request is closed
MAINTENANCE_SECONDS = 5.0
FAULT_TOLD = 60.0  # seconds from one line in the log about a fault to the next
HEADER_BYTES = 32 * 1024
READ_ON = 4  # times the largest body: how much of a refused one is still read
WITH_PORT = re.compile(r"(\[[^]]*\]|[^:]*):\d+")  # as some proxies write an address
NO_ROOM = "Other requests in progress hold too many bytes; try again shortly."
IN_MEMORY = 256 * 1024  # bytes of a request's body; a larger one moves to a temporary file


class Server(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket and its connections."""

    channel_class = Channel
    next_channel_cleanup = math.inf  # waitress tells when by the date, which somebody may set

    def __init__(self, app: Flask, settings: Settings, services: Services) -> None:
        self.cors_origins = settings.cors_origins
        self.crowded = most_connections()
        self._settings = settings
        self.budget = services.budget
        self._services = services
        self._stopping = False
        self._refused = False
        self.next_maintenance = -math.inf  # of the monotonic clock
        self._told: dict[str, float] = {}  # when each fault was logged
        self._doomed: list[Channel] = []
        self._replaced: list[Channel] = []  # by connections accepted in this turn
        dispatcher = Dispatcher(services.admissions, settings.threads)
        super().__init__(app, dispatcher=dispatcher, adj=adjust(settings))
        os.set_blocking(self.trigger.trigger, False)

    def serve(self) -> None:
        """Answer requests until `stop` is called, then finish what was admitted.

        Call `close` only afterwards: until then, `stop` may still be called.
        """
        self.task_dispatcher.loop_thread = threading.get_ident()
        while not self._stopping:
            self._turn(1.0)
        self._drain()

    @property
    def draining(self) -> bool:
        """Tell whether no new work is accepted any more."""
        return bool(self.task_dispatcher.draining_since < math.inf)

    def stop(self, *_: int | FrameType | None) -> None:
        """End `serve`; may be called from a signal handler or another thread."""
        if not self._stopping:
            self._stopping = True
            self.pull_trigger()

    def pull_trigger(self) -> None:
        """Make the loop turn once more; if the pipe to it is full, it will do so anyway.

        The loop calls this too, and would wait for ever until somebody emptied the pipe.
        """
        with contextlib.suppress(BlockingIOError):
            super().pull_trigger()

    def handle_accept(self) -> None:
        """Accept the waiting connections, or one in the place of an idle one.

        No more than one, or a new connection would be replaced before it has sent anything.
        """
        for _ in range(ACCEPTED_AT_ONCE):
            known = len(self.active_channels)
            replaced = self._idlest() if self._is_crowded() else None
            super().handle_accept()
            if len(self.active_channels) == known:
                break  # none was waiting any more
            if replaced:
                self._replaced.append(replaced)
                break

    def maintenance(self, now: float) -> None:
        """Close idle connections, as waitress does, and those that send or read too slowly.

        The threads of models that are gone for good end.
        """
        super().maintenance(now)
        self.task_dispatcher.keep(["", *self._services.catalog.remembered()])
        for channel in list(self.active_channels.values()):
            channel.count()
            if channel.is_stuck(now):
                self._doomed.append(channel)

    def examine(self, channel: Channel, request: Request) -> None:
        """Refuse or discard a body that nobody will read, before it has arrived."""
        if request.is_work:
            request.client = self.identify(channel, request)
        elif request.body is not None:
            request.body.drop()

    def identify(self, channel: Channel, request: Request) -> str:
        """Return whose share a request takes: an address's, or that of a key at an address.

        Raises Unauthorized: who has no valid key has no share.
        """
        client, access = self.client_of(channel, request), self._services.access
        if not access.needs_key:
            return client
        pairs = [(name.replace("_", "-"), value) for name, value in request.headers.items()]
        return f"{client} {access.authorise(Headers(pairs))}"

    def require_size(self, request: Request) -> None:
        """Raise TooLarge for a body over the limit, whether announced or already received."""
        most = self._settings.max_body_bytes
        if max(request.content_length, request.body_bytes_received) > most:
            raise TooLarge.over(most, "request")

    def require_kept(self, request: Request) -> None:
        """Raise Overloaded for a body of which something could not be kept, and log where."""
        if request.body is not None and request.body.failed:
            place = tempfile.tempdir or "a temporary directory"  # none was found: see the error
            self.tell("requests cannot be kept in %s: %s", place, request.body.failed)
            raise Overloaded(DISK_FULL, self.retry_after())

    def tell(self, fault: str, *details: object) -> None:
        """Log a fault, not for every request that meets it: the log may be on a full disk."""
        now = time.monotonic()
        if now - self._told.get(fault, -math.inf) >= FAULT_TOLD:
            self._told[fault] = now
            logger.error(fault, *details)

    def refuse_greediest(self) -> None:
        """Refuse the largest upload of the client with the most bytes arriving.

        This keeps one client's slow or large uploads from blocking those of the others.
        """
        arriving: Counter[str] = Counter()
        uploads = [(c, c.request) for c in self.active_channels.values() if c.request is not None]
        for _, request in uploads:
            arriving[request.client] += request.size
        channel, _ = max(uploads, key=lambda upload: (arriving[upload[1].client], upload[1].size))
        channel.refuse(Overloaded(NO_ROOM, self.retry_after()))

    def retry_after(self) -> float:
        """Return the seconds until the pictures now under way will be answered."""
        return self._services.admissions.retry_after()

    def client_of(self, channel: Channel, request: Request) -> str:
        """Return the client's address; behind the trusted proxy, the one that the proxy saw."""
        address: str = channel.addr[0]
        if self._settings.trusted_proxy in ("*", address):
            forwarded: str = request.headers.get("X_FORWARDED_FOR", "")
            last = forwarded.rpartition(",")[2].strip()
            match = WITH_PORT.fullmatch(last)
            return (match[1] if match else last) or address
        return address

    def model_of(self, request: Request) -> str:
        """Return the model that a request asks, "" if nobody knows it.

        Raises TritonUnavailable for a request that would wait in vain.
        """
        name = parse_qs(request.query).get("model", [""])[0]
        self._services.readiness.require(name)
        return self._services.catalog.asked(name)

    def count_refusal(self, request: Request, error: EdgeLensError) -> None:
        """Count a refusal that the application never saw; a made-up path counts as "other"."""
        self.count_answer(request.route if request.route in WORK else "other", error.status)
        self._services.metrics.reject(error)
        self._refused = True

    def count_answer(self, route: str, status: int) -> None:
        """Count an answer by its route and status."""
        self._services.metrics.requests.labels(route, status).inc()

    def _is_crowded(self) -> bool:
        return len(self.active_channels) >= self.crowded

    def _idlest(self) -> Channel | None:
        """Return the idle connection silent for longest, of the address with the most idle ones.

        This keeps a stranger with a thousand connections from shutting out anybody else.
        """
        idle = [channel for channel in self.active_channels.values() if not channel.requests]
        counts = Counter(channel.addr[0] for channel in idle)
        most = max(counts.values(), default=0)
        greedy = (channel for channel in idle if counts[channel.addr[0]] == most)
        return min(greedy, key=lambda channel: channel.last_activity, default=None)

    def _turn(self, seconds: float) -> None:
        self._refused = False
        self._replaced.clear()
        now = time.monotonic()
        if now >= self.next_maintenance:
            self.next_maintenance = now + MAINTENANCE_SECONDS
            self.maintenance(now)
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)
        # A connection that has sent a request meanwhile is no longer idle.
        self._doomed += [channel for channel in self._replaced if not channel.requests]
        # Not `will_close`, which waits until the socket takes more; and not during the turn, where
        # a new connection may get the descriptor of a closed one, and its events.
        while self._doomed:
            self._doomed.pop().handle_close()
        if self._refused and not self._is_crowded():
            time.sleep(REST)

    def _drain(self) -> None:
        """Accept no new connections and no new work, and answer what was admitted or has begun.

        Connections are closed as they become unused. Otherwise a proxy would send its next request
        on them, and a large one, of which it keeps no copy, would be lost.
        """
        self.task_dispatcher.draining_since = time.monotonic()
        self._services.readiness.draining = True
        self.accepting = False
        self.del_channel(self._map)
        self.socket.close()
        self._turn(0.0)  # refuse what has arrived: its sender would get a reset otherwise
        end = time.monotonic() + self._settings.grace_seconds
        while time.monotonic() < end and not self._is_done():
            # Close at once, before a turn could take in a request that nobody would answer.
            for channel in [c for c in self.active_channels.values() if c.is_unused()]:
                channel.handle_close()
            self._turn(0.1)
        self.task_dispatcher.shutdown()
        for channel in list(self.active_channels.values()):
            channel.close()

    def _is_done(self) -> bool:
        channels = list(self.active_channels.values())
        return self.task_dispatcher.idle() and all(channel.is_unused() for channel in channels)


def most_connections() -> int:
    """Return the number of connections from which on a new one replaces an idle one.

    Each may need a descriptor for its body's temporary file besides its own.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return CROWDED
    return max(1, min(CROWDED, (most - SPARE_DESCRIPTORS) // 2))


def adjust(settings: Settings) -> Adjustments:
    """Return waitress's own settings."""
    chosen: dict[str, Any] = {
        "listen": f"{settings.host}:{settings.port}",
        "ident": None,
        "connection_limit": CONNECTIONS,
        "channel_timeout": IDLE_SECONDS,
        "max_request_header_size": HEADER_BYTES,
        # Waitress closes at once, which resets a client that is still sending. A body that is too
        # large is refused by `require_size` and still read; only a hopelessly large one is cut off.
        "max_request_body_size": READ_ON * settings.max_body_bytes + 1,
        "inbuf_overflow": IN_MEMORY,
        "recv_bytes": 128 * 1024,
        "log_socket_errors": False,
        # Keeps reading while a request is answered, to notice when the client hangs up.
        "channel_request_lookahead": 1,
    }
    try:
        return Adjustments(**chosen)
    except ValueError:  # all other settings were checked before
        raise SettingError(f"HOST={settings.host!r} cannot be used: no such address") from None
