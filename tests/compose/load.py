"""Clients that keep asking while a test breaks something, and how their requests ended."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import requests
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from tests.compose.stack import JPEG, Stack
from tests.photos import Photo
from tests.waiting import wait_until

PAUSE = 0.1  # seconds between two requests of a client
CLIENT_LIMIT = 60.0  # seconds after which a client gives up
# The last two are more than the balancer's buffer holds: a large photo on its way to a gateway, and
# the tensors of eight photos on their way to Triton.
GATEWAY, HTTP, GRPC, LARGE, MANY = ALL = (
    "gateway",
    "Triton over HTTP",
    "Triton over gRPC",
    "a large photo",
    "eight photos",
)


@dataclass(frozen=True)
class Outcome:
    """One request: which kind of client, when it began, how long it took, what went wrong."""

    kind: str
    began: float
    seconds: float
    problem: str


class Client:
    """A thread that sends one request after another and notes every outcome."""

    def __init__(self, kind: str, ask: Callable[[int], str], stop: threading.Event) -> None:
        self._kind, self._ask, self._stop = kind, ask, stop
        self.outcomes: list[Outcome] = []
        self.begun = 0.0
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        number = 0
        while not self._stop.wait(PAUSE):
            self.begun = time.monotonic()
            try:
                problem = self._ask(number)
            except (requests.RequestException, InferenceServerException) as error:
                problem = f"{type(error).__name__}: {error}"[:200]
            seconds = time.monotonic() - self.begun
            self.outcomes.append(Outcome(self._kind, self.begun, seconds, problem))
            number += 1


class Load:
    """Running clients, and the outcomes of their requests."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._clients: list[Client] = []

    def add(self, kind: str, ask: Callable[[int], str]) -> None:
        """Add a client; `ask` sends its n-th request and says what was wrong, if anything."""
        self._clients.append(Client(kind, ask, self._stop))

    def stop(self) -> None:
        self._stop.set()
        for client in self._clients:
            client.thread.join(CLIENT_LIMIT)

    def expect_none_lost(self, since: float, kinds: tuple[str, ...] = ALL) -> None:
        """Wait until all requests in flight have ended; fail if any since `since` was lost."""
        now = time.monotonic()
        wait_until(
            # A client's next request shows that its earlier ones have ended.
            lambda: all(client.begun >= now for client in self._clients),
            "every client has finished a request",
            CLIENT_LIMIT,
        )
        outcomes = [o for client in self._clients for o in list(client.outcomes)]
        outcomes = [o for o in outcomes if o.began >= since and o.kind in kinds]
        lost = Counter(f"{o.kind}: {o.problem}" for o in outcomes if o.problem)
        slowest = max(o.seconds for o in outcomes)
        summary = f"{len(outcomes)} requests, {lost.total()} lost, slowest {slowest:.1f} s"
        print(summary)  # pytest shows it with -s, and when the test fails
        assert not lost, f"{summary}: {dict(lost)}"
        assert len(outcomes) > 20, summary


def gateway_client(stack: Stack, photos: list[Photo], start: int) -> Callable[[int], str]:
    """Post one photograph after another to the gateway and compare the best label."""
    session = requests.Session()

    def ask(number: int) -> str:
        photo = photos[(start + number) % len(photos)]
        answer = session.post(
            f"{stack.url}/v1/classify", photo.data, headers=JPEG, timeout=CLIENT_LIMIT
        )
        return compare(answer, [photo.wnid])

    return ask


def large_client(stack: Stack, photo: Photo) -> Callable[[int], str]:
    """Post one photograph, enlarged to more than a megabyte."""
    session = requests.Session()
    body = enlarged(photo)

    def ask(_: int) -> str:
        answer = session.post(f"{stack.url}/v1/classify", body, headers=JPEG, timeout=CLIENT_LIMIT)
        return compare(answer, [photo.wnid])

    return ask


def many_client(stack: Stack, photos: list[Photo]) -> Callable[[int], str]:
    """Post several photographs in one request."""
    session = requests.Session()
    files = [("images[]", (photo.path.name, photo.data, "image/jpeg")) for photo in photos]

    def ask(_: int) -> str:
        answer = session.post(f"{stack.url}/v1/classify", files=files, timeout=CLIENT_LIMIT)
        return compare(answer, [photo.wnid for photo in photos])

    return ask


def compare(answer: requests.Response, wnids: list[str]) -> str:
    """Say what is wrong with an answer; nothing, if its best labels are these."""
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text[:150]}"
    found = [result["predictions"][0]["wnid"] for result in answer.json()["results"]]
    return "" if found == wnids else f"{wnids} are {found}"


def enlarged(photo: Photo) -> bytes:
    """Return a photograph as a JPEG of more than a megabyte."""
    pixels = cv2.imread(str(photo.path))
    for factor in (2, 4, 6, 8):
        larger = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        jpeg: bytes = cv2.imencode(".jpg", larger, (cv2.IMWRITE_JPEG_QUALITY, 100))[1].tobytes()
        if len(jpeg) > 1_200_000:
            return jpeg
    raise AssertionError(f"{photo.path} stays small")


def http_client(stack: Stack, model: str, body: bytes) -> Callable[[int], str]:
    """Post the same tensor to Triton over HTTP."""
    session = requests.Session()
    url = f"{stack.http_url}/v2/models/{model}/infer"

    def ask(number: int) -> str:
        answer = session.post(url, body, timeout=CLIENT_LIMIT)
        return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:150]}"

    return ask


def grpc_client(
    stack: Stack, model: str, inputs: list[triton_grpc.InferInput]
) -> Callable[[int], str]:
    """Send the same tensor to Triton on one gRPC channel."""
    client = triton_grpc.InferenceServerClient(stack.grpc_address)

    def ask(number: int) -> str:
        client.infer(model, inputs, client_timeout=CLIENT_LIMIT)
        return ""

    return ask
