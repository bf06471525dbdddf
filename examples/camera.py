"""Tell what a camera sees, whenever that changes: camera.py [--url URL] SOURCE

SOURCE is a camera's number (0 is the first), the address of a stream (rtsp://..., http://...) or a
video file. Frames that come while one is being classified are skipped: what is told is never old.
"""

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime

import cv2
import numpy as np
import requests

BUSY = (429, 503)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--url", default="http://127.0.0.1:5000")
    parser.add_argument("--model", help="default: the server's")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two looks")
    parser.add_argument("--least", type=float, default=0.3, help="probability worth telling")
    options = parser.parse_args()

    capture = cv2.VideoCapture(int(options.source) if options.source.isdigit() else options.source)
    if not capture.isOpened():
        sys.exit(f"camera.py: {options.source} cannot be opened: no such camera, stream or video")
    is_live = options.source.isdigit() or "://" in options.source
    frames = newest(capture, options.every) if is_live else in_turn(capture, options.every)
    told = None
    with requests.Session() as session:
        for frame in frames:
            best = classify(session, options, frame)
            if best and best["probability"] >= options.least and best["wnid"] != told:
                told = best["wnid"]
                line = f"{told} {best['label']} ({best['probability']:.1%})"
                print(f"{datetime.now():%H:%M:%S} {line}", flush=True)
    if is_live:
        sys.exit(f"camera.py: {options.source} sends no more pictures")


def newest(capture: cv2.VideoCapture, every: float) -> Iterator[np.ndarray]:
    """Yield the newest frame; a thread takes in all of them, or the camera would keep old ones."""
    latest: list[np.ndarray | None] = []
    came, enough = threading.Event(), threading.Event()

    def take_in() -> None:
        ok = True
        while ok and not enough.is_set():
            ok, frame = capture.read()
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
            yield frame
            time.sleep(every)
    finally:
        enough.set()
        thread.join(2)


def in_turn(capture: cv2.VideoCapture, every: float) -> Iterator[np.ndarray]:
    """Yield a video's frames that are so many of its seconds apart."""
    step = max(1, round(every * (capture.get(cv2.CAP_PROP_FPS) or 25)))
    while True:
        ok, frame = capture.read()
        if not ok:
            return
        yield frame
        for _ in range(step - 1):
            capture.grab()


def classify(
    session: requests.Session, options: argparse.Namespace, frame: np.ndarray
) -> dict | None:
    """Return the best label of a frame, or None where the server had no time for it."""
    _, picture = cv2.imencode(".jpg", frame)
    answer = session.post(
        f"{options.url}/v1/classify",
        params={"model": options.model, "top_k": 1},
        data=picture.tobytes(),
        headers={"Content-Type": "image/jpeg"},
        timeout=30,
    )
    if answer.status_code in BUSY:  # by the time it has some, there is a newer frame
        time.sleep(float(answer.headers.get("Retry-After", 1)))
        return None
    if not answer.ok:
        sys.exit(f"camera.py: {answer.json()['error']['message']}")
    best: dict = answer.json()["results"][0]["predictions"][0]
    return best


try:
    main()
except (OSError, ValueError) as error:  # requests' own errors are OSErrors
    sys.exit(f"camera.py: {error}")
except KeyboardInterrupt:
    sys.exit(130)
