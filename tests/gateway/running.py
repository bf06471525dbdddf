"""A gateway's server over real connections, and what tests send to it."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests

from gateway.admission import Admission
from gateway.services import Services
from gateway.transport.server import Server
from tests.gateway.stub import StubTriton, picture
from tests.waiting import wait_until

JPEG = {"Content-Type": "image/jpeg"}
DESCRIPTION = b"GET /openapi.json HTTP/1.1\r\n\r\n"


@dataclass
class Running:
    """A server in a thread of its own."""

    server: Server
    services: Services
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.effective_port}"

    @property
    def admission(self) -> Admission:
        """The admission of the stand-in's model."""
        return self.services.admissions.of("colours")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", int(self.server.effective_port)), 10)

    def classify(self, **options: Any) -> requests.Response:
        return requests.post(
            f"{self.url}/v1/classify", data=picture(), headers=JPEG, timeout=20, **options
        )

    def say(self, raw: bytes) -> bytes:
        """Send raw bytes and return everything that comes until the server closes."""
        with self.connect() as connection:
            connection.sendall(raw)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    connection.settimeout(10)
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def status_of_next(connection: socket.socket) -> int:
    """Read one whole answer from a connection that stays open; return its status."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


Serve = Callable[..., Running]


def answered(running: Running, client: socket.socket) -> Any:
    """Answer the only client, and return its connection as the server sees it."""
    client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
    assert status_of_next(client) == 200
    (channel,) = running.server.active_channels.values()
    return channel


def serve_through_a_narrow_pipe(serve: Serve) -> Running:
    """Return a gateway that can buffer only a few bytes of answers that nobody reads."""
    running = serve(threads=1)
    running.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    running.server.adj.outbuf_high_watermark = 4096
    return running


@contextlib.contextmanager
def silent_readers(running: Running, count: int, said: bytes) -> Iterator[list[socket.socket]]:
    """Connect clients that send `said` and read nothing."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(count)]
        for client in clients:
            client.settimeout(20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", int(running.server.effective_port)))
            client.sendall(said)
        yield clients


def unread(running: Running) -> list[Any]:
    """Return the connections whose answers are not read."""
    channels = list(running.server.active_channels.values())
    return [channel for channel in channels if channel.total_outbufs_len]


def refused(running: Running) -> bool:
    """Tell whether a request that is still arriving was refused."""
    return any(channel.request.refusal for channel in arriving(running))


def arriving(running: Running) -> list[Any]:
    """List the connections on which a request has begun to arrive."""
    return [c for c in list(running.server.active_channels.values()) if c.request is not None]


def arrived(running: Running) -> int:
    """Return how many bytes of those requests' bodies have arrived."""
    return sum(channel.request.body_bytes_received for channel in arriving(running))


def queued(running: Running) -> list[Any]:
    """List the connections whose request waits for a thread."""
    return list(running.server.task_dispatcher._lane("colours").queue)


def maintain(running: Running) -> None:
    """Make the server check its connections in the next turn of its loop."""
    running.server.next_maintenance = 0
    running.server.pull_trigger()


def await_maintenance(running: Running) -> None:
    """Have the server check its connections, and wait until it has."""
    for _ in range(2):  # the second one begins when the first has been done
        maintain(running)
        wait_until(lambda: running.server.next_maintenance > 0, "it was looked after", 20)


@contextlib.contextmanager
def held_request(running: Running, triton: StubTriton) -> Iterator[list[Any]]:
    """Send a picture whose inference lasts as long as the block; then the list has its answer."""
    hold = hold_inferences(triton)
    thread, results = in_background(running.classify)
    assert triton.entered.acquire(timeout=20)
    try:
        yield results
    finally:
        hold.set()
        thread.join(20)


def hold_inferences(triton: StubTriton) -> threading.Event:
    triton.hold = threading.Event()
    triton.entered = threading.Semaphore(0)
    return triton.hold


def raw_classify() -> bytes:
    head = "POST /v1/classify HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: "
    return f"{head}{len(picture())}\r\n\r\n".encode() + picture()


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def post_as(running: Running, client: str) -> requests.Response:
    """Classify as a proxy that took the request from this client."""
    headers = {**JPEG, "X-Forwarded-For": f"6.6.6.6, {client}"}
    return requests.post(f"{running.url}/v1/classify", data=picture(), headers=headers, timeout=20)
