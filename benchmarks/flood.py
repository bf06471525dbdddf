"""Sends requests at fixed times, whether or not answers come, and counts how each ended."""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE = 30.0  # seconds to wait for the last answers
TICK = 0.01  # seconds; requests due within one are sent together, because waking up costs time
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)


@dataclass
class Flood:
    """POST requests at `rate` a second: how they ended, and the latencies of 200s in seconds.

    HTTP is written and parsed by hand. A client library takes half a millisecond of a core per
    request, which the flooded server on the same cores would lack.
    """

    url: str
    rate: float
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    _idle: list["_Connection"] = field(default_factory=list)

    async def run(self, bodies: list[bytes], content_type: str, seconds: float) -> None:
        """Send the bodies in turn for some seconds, then wait for the last answers."""
        requests = [self._written(body, content_type) for body in bodies]
        begin, sent = time.monotonic(), []
        for number in range(round(self.rate * seconds)):
            early = begin + number / self.rate - time.monotonic()
            if early > 0:
                await asyncio.sleep(max(early, TICK))
            sent.append(asyncio.create_task(self._send(requests[number % len(requests)])))
        _, late = await asyncio.wait(sent, timeout=PATIENCE)
        for task in late:
            self.statuses["no answer"] += 1
            task.cancel()
        for connection in self._idle:
            connection.close()

    def _written(self, body: bytes, content_type: str) -> bytes:
        where = urlsplit(self.url)
        lines = (
            f"POST {where.path} HTTP/1.1",
            f"Host: {where.netloc}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + body

    async def _send(self, request: bytes) -> None:
        begin = time.monotonic()
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            status = await connection.ask(request)
        except OSError as error:
            self.statuses[type(error).__name__] += 1
            return
        if connection.is_open:
            self._idle.append(connection)
        self.statuses[status] += 1
        if status == "200":
            self.latencies.append(time.monotonic() - begin)

    async def _connect(self) -> "_Connection":
        where = urlsplit(self.url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, where.hostname, where.port)
        return connection


class _Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self) -> None:
        self.is_open = True
        self._arrived = b""
        self._status: asyncio.Future[str] | None = None

    async def ask(self, request: bytes) -> str:
        """Send a request and return its answer's status; raise OSError if none comes."""
        if not self.is_open:  # the server closed it meanwhile
            raise ConnectionResetError
        self._arrived, self._status = b"", asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._status

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        head, blank, body = self._arrived.partition(b"\r\n\r\n")
        length = LENGTH.search(head + b"\r\n")
        if blank and length and len(body) >= int(length[1]):
            if CLOSES.search(head + b"\r\n"):
                self.is_open = False
                self.close()
            if self._status and not self._status.done():
                self._status.set_result(head[9:12].decode())

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._status and not self._status.done():
            self._status.set_exception(ConnectionResetError())
