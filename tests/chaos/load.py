"""Steady clients that remember how every request ended."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import requests

from tests.photos import Photo, photos

PATIENCE = 60.0  # seconds; longer than any deadline, so that a hang is seen as one
RETRY = 0.1  # seconds a refused client waits before the next request
SIDE = 256  # pixels of a bitmap's shorter side
BMP_HEADER = 54  # bytes


class Picture:
    """A photograph as two kinds of clients send it: the file, or a bitmap that never repeats."""

    def __init__(self, photo: Photo) -> None:
        self.wnid = photo.wnid
        self._jpeg = photo.data
        image = cv2.imread(str(photo.path))
        scale = SIDE / min(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._bitmap = bytearray(cv2.imencode(".bmp", image)[1])
        height, width = image.shape[:2]
        # Rows are padded to 4 bytes; the middle survives every crop.
        self._middle = BMP_HEADER + height // 2 * ((3 * width + 3) // 4 * 4) + width // 2 * 3

    def file(self) -> tuple[bytes, str]:
        """Return the file itself, which Triton's response cache may answer."""
        return self._jpeg, "image/jpeg"

    def distinct(self) -> tuple[bytes, str]:
        """Return the picture with different pixels in its middle, so that no cache can answer."""
        bitmap = self._bitmap.copy()
        bitmap[self._middle : self._middle + 8] = os.urandom(8)
        return bytes(bitmap), "image/bmp"


PICTURES = [Picture(photo) for photo in photos()]


@dataclass
class Outcomes:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: str, seconds: float, wrong: str = "") -> None:
        with self.lock:
            self.statuses[status] += 1
            self.longest = max(self.longest, seconds)
            if wrong:
                self.wrong.append(wrong)

    @property
    def answered(self) -> int:
        return self.statuses["200"]

    @property
    def failed(self) -> int:
        return self.statuses.total() - self.answered

    def __str__(self) -> str:
        counts = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        wrong = f"; {len(self.wrong)} WRONG LABELS, as {self.wrong[0]}" if self.wrong else ""
        return f"{counts}; the longest took {self.longest:.1f} s{wrong}"


@contextmanager
def steady_load(url: str, clients: int = 8) -> Iterator[Outcomes]:
    """Let clients post photographs one after another while the block runs."""
    outcomes, stop = Outcomes(), threading.Event()
    threads = [
        threading.Thread(target=_client, args=(url, number, outcomes, stop))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)


def _client(url: str, number: int, outcomes: Outcomes, stop: threading.Event) -> None:
    session = requests.Session()
    while not stop.is_set():
        picture = PICTURES[number % len(PICTURES)]
        body, kind = picture.file() if number % 4 == 0 else picture.distinct()
        number += 1
        begin = time.monotonic()
        try:
            answer = session.post(
                f"{url}/v1/classify",
                data=body,
                headers={"Content-Type": kind},
                timeout=PATIENCE,
            )
        except requests.RequestException as error:
            outcomes.note(type(error).__name__, time.monotonic() - begin)
            stop.wait(RETRY)
            continue
        outcomes.note(
            str(answer.status_code), time.monotonic() - begin, _flaw(answer, picture.wnid)
        )
        if answer.status_code != 200:
            stop.wait(RETRY)


def _flaw(answer: requests.Response, wnid: str) -> str:
    """Say what is wrong with an answer: a wrong label, or an error that is not honest."""
    if answer.status_code == 200:
        best = answer.json()["results"][0]["predictions"][0]["wnid"]
        return "" if best == wnid else f"{best} instead of {wnid}"
    if answer.status_code in (429, 503) and int(answer.headers.get("Retry-After", 0)) >= 1:
        return ""
    if answer.status_code == 504:
        return ""
    return f"{answer.status_code}: {answer.text[:200]}"
