"""Ten thousand generated bad requests: no 5xx except an honest 503 or 504, no memory leaked."""

import base64
import json
import random
import socket
from collections import Counter
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from tests.chaos.load import steady_load
from tests.e2e.conftest import Gateway, is_ready
from tests.gateway.mutations import mutant
from tests.memory import MEGABYTE
from tests.photos import odd_images, photos
from tests.servers import Running
from tests.waiting import wait_until

COUNT = 10_000
RAW_COUNT = 300
ANSWER_SECONDS = 0.3  # far more than a refusal takes
SEED = 20
PICTURES = [photo.data for photo in photos()] + [path.read_bytes() for path, _ in odd_images()]
PATHS = ("/v1/classify", "/predict")


def broken(chance: random.Random) -> bytes:
    return mutant(chance.getrandbits(32), PICTURES)


def nested(chance: random.Random) -> bytes:
    depth = chance.choice((3, 100, 20_000))
    return b"[" * depth + b"]" * chance.randrange(depth + 1)


def body(chance: random.Random) -> tuple[bytes, str]:
    """Return a request body and a content type, which is seldom the right one."""
    kind = chance.randrange(6)
    picture = broken(chance)
    if kind == 0:
        return picture, chance.choice(("image/jpeg", "image/png", "application/octet-stream", ""))
    if kind == 1:
        text = base64.b64encode(picture).decode()
        wrapped = chance.choice((text, "data:image/png;base64," + text, text[:-1], text + "*", 7))
        key = chance.choice(("image", "images", "picture"))
        value = chance.choice((wrapped, [wrapped, wrapped], {"a": wrapped}, None))
        return json.dumps({key: value}).encode(), "application/json"
    if kind == 2:
        return nested(chance), "application/json"
    if kind == 3:
        text = base64.b64encode(picture)[: chance.randrange(4000)]
        return b"image=" + text, "application/x-www-form-urlencoded"
    boundary = chance.choice(("x", "x" * 300, "", "a b"))
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
        % (
            chance.choice((b"image", b"images[]", b"files[]", b"\xff\x00")),
            chance.choice((b"a.jpg", b"../../etc/passwd", b"<script>", b"\xf0\x9f")),
            picture[:3000],
        )
        for _ in range(chance.choice((0, 1, 2, 40)))
    )
    end = chance.choice((b"--x--\r\n", b"", b"--x"))
    return parts + end, f"multipart/form-data; boundary={boundary}"


def query(chance: random.Random) -> str:
    name = chance.choice(("top_k", "min_score", "model", "version", "ab", "nonsense"))
    value = chance.choice(("0", "-1", "1e999", "%00", "..%2f..", "vgg17", "9" * 50, "", "nan"))
    return f"?{name}={value}" if chance.random() < 0.3 else ""


def raw(chance: random.Random) -> bytes:
    """Return malformed HTTP: the request line, a header, the length or the body is broken."""
    line = chance.choice(
        (b"POST /v1/classify HTTP/1.1", b"POST /predict HTTP/9.9", b"GET", b"\0\xff")
    )
    headers = (
        *(b"Host: x", b"no colon", b": no name", b"X: \0\xff", b"X: " + b"x" * 70_000),
        *(b"Content-Length: -1", b"Content-Length: 99", b"Content-Length: 1\r\nContent-Length: 2"),
        *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Expect: 100-continue"),
    )
    bodies = (b"", b"zz\r\n", b"f" * 40 + b"\r\nx", broken(chance)[:2000])
    return line + b"\r\n" + chance.choice(headers) + b"\r\n\r\n" + chance.choice(bodies)


def status_of(url: str, data: bytes) -> str:
    """Send bytes; return the status that comes back, `silence` while the server waits for more."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
            connection.sendall(data)
            connection.settimeout(ANSWER_SECONDS)
            return connection.recv(4096).decode().partition(" ")[2][:3] or "closed"
    except TimeoutError:
        return "silence"
    except ConnectionError:
        return "closed"


def resident(processes: list[psutil.Process]) -> int:
    """Return the memory of processes, all of which must be alive."""
    return sum(process.memory_info().rss for process in processes)


def rested(url: str, *groups: list[psutil.Process]) -> list[int]:
    """Return each group's memory after some good pictures, which warm up every part."""
    with steady_load(url) as load:
        wait_until(lambda: load.answered > 100, "all parts are warm", 60)
    return [resident(group) for group in groups]


def test_bad_requests_are_refused_and_forgotten(
    triton: Running, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = psutil.Process(triton.process.pid)
    web, inference = [psutil.Process(gateway.process.pid)], launcher.children(recursive=True)
    before = rested(gateway.url, web, inference)
    chance = random.Random(SEED)
    session = requests.Session()
    statuses: Counter[int] = Counter()
    for _ in range(COUNT):
        data, kind = body(chance)
        answer = session.post(
            gateway.url + chance.choice(PATHS) + query(chance),
            data=data,
            headers={"Content-Type": kind} if kind else {},
            timeout=30,
        )
        statuses[answer.status_code] += 1
        assert answer.status_code < 500 or answer.status_code in (503, 504), answer.text
        if answer.status_code >= 400:
            assert b"error" in answer.content
        if answer.status_code in (429, 503):
            assert int(answer.headers["Retry-After"]) >= 1
    assert statuses[400] and statuses[413] + statuses[415] and statuses[422]
    wait_until(
        lambda: resident(web) < before[0] + 50 * MEGABYTE, "the gateway's memory is given back", 30
    )
    assert resident(inference) < before[1] + 50 * MEGABYTE
    assert is_ready(gateway.url)
    with capsys.disabled():
        growth = zip((web, inference), before, strict=True)
        told = ", ".join(f"{(resident(g) - b) / MEGABYTE:+.0f} MB" for g, b in growth)
        print(f"\n{COUNT} bad requests: {dict(sorted(statuses.items()))}; gateway, Triton: {told}")


def test_what_is_hardly_http_is_refused_or_cut_off(gateway: Gateway) -> None:
    chance = random.Random(SEED)
    statuses: Counter[str] = Counter()
    for _ in range(RAW_COUNT):
        data = raw(chance)
        status = status_of(gateway.url, data)
        statuses[status] += 1
        # HTTP prescribes 501 for a transfer coding that a server does not know.
        assert status[0] == "4" or status in ("100", "501", "closed", "silence"), data[:200]
    assert statuses["400"] > RAW_COUNT / 4
    assert is_ready(gateway.url)
