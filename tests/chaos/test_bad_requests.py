"""Ten thousand generated bad requests: never a 5xx but an honest 503 or 504, and no memory kept."""

import base64
import json
import random
from collections import Counter

import psutil
import requests

from tests.e2e.conftest import Gateway, is_ready
from tests.photos import odd_images, photos
from tests.waiting import wait_until

COUNT = 10_000
SEED = 20
MEGABYTE = 1 << 20
PICTURES = [photo.data for photo in photos()] + [path.read_bytes() for path, _ in odd_images()]
PATHS = ("/v1/classify", "/predict")


def broken(chance: random.Random) -> bytes:
    """Return the bytes of a real picture, cut, flipped, spliced or with a lying header."""
    data = bytearray(chance.choice(PICTURES))
    kind = chance.randrange(5)
    if kind == 0:
        return bytes(data[: chance.randrange(len(data) + 1)])
    if kind == 1:
        return chance.randbytes(chance.randrange(2000))
    if kind == 2:
        other = chance.choice(PICTURES)
        cut = chance.randrange(64)
        return bytes(data[:cut]) + other[chance.randrange(len(other) + 1) :]
    for _ in range(chance.randrange(1, 30)):
        if data:
            place = chance.randrange(min(len(data), 256) if kind == 3 else len(data))
            data[place] = chance.randrange(256)
    return bytes(data)


def nested(chance: random.Random) -> bytes:
    depth = chance.choice((3, 100, 20_000))
    return b"[" * depth + b"]" * chance.randrange(depth + 1)


def body(chance: random.Random) -> tuple[bytes, str]:
    """Return a request body and its content type, seldom a true one."""
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


def test_bad_requests_are_refused_and_forgotten(gateway: Gateway) -> None:
    process = psutil.Process(gateway.process.pid)
    chance = random.Random(SEED)
    session = requests.Session()
    statuses: Counter[int] = Counter()

    def send(count: int) -> None:
        for _ in range(count):
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

    send(COUNT // 10)  # the allocator's arenas are warm after this
    before = process.memory_info().rss
    send(COUNT - COUNT // 10)
    assert sum(statuses.values()) == COUNT
    assert statuses[400] and statuses[413] + statuses[415] and statuses[422]
    wait_until(
        lambda: process.memory_info().rss < before + 50 * MEGABYTE, "memory is given back", 30
    )
    assert is_ready(gateway.url)
