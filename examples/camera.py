"""Print what a camera sees, whenever that changes.

SOURCE is a camera's number (0 is the first) or device, the address of a stream (rtsp://...,
http://...) or a video file. Frames that a camera sends while one is being classified are skipped,
so the output is never stale. If the server asks for an API key, set it in API_KEY.
"""

import argparse
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import requests

BUSY = (429, 502, 503, 504)
AWAY = 2.0  # seconds before retrying a server that cannot be reached
BROKEN = 10  # unreadable frames in a row that mean the end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="default: %(default)s")
    parser.add_argument("--model", help="default: the server's")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two frames")
    parser.add_argument("--least", type=float, default=0.3, help="least probability to report")
    options = parser.parse_args()
    if "://" not in options.url:
        parser.error("--url must begin with http:// or https://")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C also works while OpenCV waits

    capture = cv2.VideoCapture(int(options.source) if options.source.isdigit() else options.source)
    if not capture.isOpened():
        sys.exit(f"camera.py: {options.source} cannot be opened: no such camera, stream or video")
    is_live = not Path(options.source).is_file()
    frames = newest(capture, options.every) if is_live else in_turn(capture, options.every)
    moment = told = None
    with requests.Session() as session:
        for moment, frame in frames:
            while (best := classify(session, options, frame)) is None and not is_live:
                pass  # a video can wait
            if not best or best["probability"] < options.least:
                continue
            label = f"{best['wnid'] or ''} {best['label']}".lstrip()  # own labels may have no wnid
            if label != told:
                told = label
                print(f"{moment} {label} ({best['probability']:.1%})", flush=True)
    if moment is None:
        sys.exit(f"camera.py: {options.source} has no picture that can be read")
    if is_live:
        sys.exit(f"camera.py: {options.source} sends no more pictures")


def newest(capture: cv2.VideoCapture, every: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the time and the newest frame; a thread reads all frames, so that none is buffered."""
    latest: list[np.ndarray | None] = []
    came, enough = threading.Event(), threading.Event()

    def take_in() -> None:
        broken = 0
        while broken < BROKEN and not enough.is_set():
            ok, frame = capture.read()
            broken = 0 if ok else broken + 1
            if ok or broken == BROKEN:
                latest[:] = [frame if ok else None]
                came.set()

    thread = threading.Thread(target=take_in, daemon=True)
    thread.start()
    try:
        while True:
            came.wait()
            came.clear()
            if (frame := latest[0]) is None:
                return
            yield f"{datetime.now():%H:%M:%S}", frame
            time.sleep(every)
    finally:
        enough.set()
        thread.join(2)


def in_turn(capture: cv2.VideoCapture, every: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a position in the video and its frame, once every `every` seconds of the video."""
    rate = capture.get(cv2.CAP_PROP_FPS) or 25
    step = max(1, round(every * rate))
    broken = 0
    for number in itertools.count(step=step):
        ok, frame = capture.read()
        broken = 0 if ok else broken + 1
        if broken == BROKEN:
            return
        if ok:
            yield str(timedelta(seconds=int(number / rate))), frame
        for _ in range(step - 1):
            capture.grab()


def classify(
    session: requests.Session, options: argparse.Namespace, frame: np.ndarray
) -> dict | None:
    """Return the best label of a frame, or None if the server is busy or away."""
    _, picture = cv2.imencode(".jpg", frame)
    try:
        answer = session.post(
            f"{options.url}/v1/classify",
            params={"model": options.model, "top_k": 1},
            data=picture.tobytes(),
            headers={"Content-Type": "image/jpeg", "X-API-Key": os.environ.get("API_KEY")},
            timeout=30,
        )
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
        wait(AWAY, f"{options.url} does not answer")
        return None
    if answer.status_code in BUSY:  # by the time it is free, there is a newer frame
        after = answer.headers.get("Retry-After", "")  # a proxy may give a date
        wait(float(after) if after.isdecimal() else AWAY, reason(answer))
        return None
    if not answer.ok:
        sys.exit(f"camera.py: {reason(answer)}")
    best: dict = answer.json()["results"][0]["predictions"][0]
    return best


def wait(seconds: float, why: str) -> None:
    print(f"camera.py: asking again in {seconds:g} s: {why}", file=sys.stderr)
    time.sleep(seconds)


def reason(answer: requests.Response) -> str:
    """Return the gateway's error message, or the status if something else answers."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answers {answer.status_code} {answer.reason}"


try:
    main()
except (OSError, ValueError) as error:  # requests' own errors are OSErrors
    sys.exit(f"camera.py: {error}")
