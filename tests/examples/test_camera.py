"""The camera example: a video file, and a network camera that sends JPEGs over HTTP."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.examples.conftest import ANSWERS, StandIn
from tests.examples.test_examples import EXAMPLES, PHOTOS, python
from tests.photos import Photo
from tests.stand_in import Quiet, standing_in

SIDE = 320
FRAME = 0.05  # seconds
FIRST, SECOND = PHOTOS[:2]


def square(path: Path) -> np.ndarray:
    """Return the middle of a photograph, in the size of every frame."""
    pixels = cv2.imread(str(path))
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return cv2.resize(pixels[top : top + side, left : left + side], (SIDE, SIDE))


class NetworkCamera(Quiet):
    """Sends `seen` and a broken frame in turn, until `seen` is None."""

    seen: np.ndarray | None = None

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        while (seen := NetworkCamera.seen) is not None:
            jpeg = cv2.imencode(".jpg", seen)[1].tobytes()
            try:
                self.send(jpeg)
                self.send(b"no picture")
            except OSError:  # the reader has gone
                return
            time.sleep(FRAME)

    def send(self, jpeg: bytes) -> None:
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        self.wfile.write(head.encode() + jpeg + b"\r\n")


@pytest.fixture
def camera() -> Iterator[str]:
    NetworkCamera.seen = square(FIRST.path)
    with standing_in(NetworkCamera) as server:
        yield f"http://127.0.0.1:{server.server_port}/stream.mjpg"
        NetworkCamera.seen = None


@pytest.fixture
def watching(camera: str, gateway_url: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, EXAMPLES / "camera.py", "--url", gateway_url, "--every", "0.1"]
    process = subprocess.Popen(
        [*command, camera], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def film(path: Path, codec: str, *photos: Photo) -> str:
    """Write a video that shows each photograph for two seconds."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (SIDE, SIDE))
    for photo in photos:
        for _ in range(20):
            writer.write(square(photo.path))
    writer.release()
    return str(path)


@pytest.fixture
def video(tmp_path: Path) -> str:
    return film(tmp_path / "video.avi", "MJPG", FIRST, SECOND)


def test_a_video_is_told_where_it_changes(gateway_url: str, video: str) -> None:
    finished = python("camera.py", "--url", gateway_url, video)
    assert finished.returncode == 0, finished.stderr
    told = [line.split(" ")[1] for line in finished.stdout.splitlines()]
    assert told == [FIRST.wnid, SECOND.wnid]
    assert [line.split(" ")[0] for line in finished.stdout.splitlines()] == ["0:00:00", "0:00:02"]


def test_a_video_is_told_to_its_end_where_some_frames_are_damaged(
    gateway_url: str, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.mp4"
    content = bytearray(Path(film(damaged, "mp4v", FIRST, SECOND)).read_bytes())
    tenth = len(content) // 10
    content[tenth : 2 * tenth] = bytes(tenth)  # the frames before the first second
    damaged.write_bytes(content)
    finished = python("camera.py", "--url", gateway_url, str(damaged))
    assert finished.returncode == 0, finished.stderr
    assert [line.split(" ")[1] for line in finished.stdout.splitlines()] == [
        FIRST.wnid,
        SECOND.wnid,
    ]


def test_a_video_without_a_picture_is_no_success(gateway_url: str, tmp_path: Path) -> None:
    empty = film(tmp_path / "empty.avi", "MJPG")
    finished = python("camera.py", "--url", gateway_url, empty)
    assert finished.returncode == 1
    assert finished.stderr == f"camera.py: {empty} has no picture that can be read\n"


def test_a_server_that_is_away_is_waited_for(stand_in_url: str, video: str) -> None:
    finished = python("camera.py", "--url", stand_in_url, video)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "0:00:00 bolt (100.0%)\n"
    away, starting = finished.stderr.splitlines()
    assert away.endswith("answers 502 Bad Gateway")
    assert starting == "camera.py: asking again in 0 s: The model is starting."


def test_a_server_that_breaks_off_and_a_proxy_that_gives_a_date_are_waited_for(
    stand_in_url: str, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "left", [(200, ""), (503, "<html>"), ANSWERS[-1]])
    monkeypatch.setattr(StandIn, "again", "Wed, 21 Oct 2026 07:28:00 GMT")
    finished = python("camera.py", "--url", stand_in_url, video)
    assert finished.stdout == "0:00:00 bolt (100.0%)\n"
    cut, busy = finished.stderr.splitlines()
    assert cut == f"camera.py: asking again in 2 s: {stand_in_url} does not answer"
    assert busy.startswith("camera.py: asking again in 2 s: ")


def test_a_network_camera_is_followed_until_it_ends(watching: "subprocess.Popen[str]") -> None:
    assert watching.stdout and FIRST.wnid in watching.stdout.readline()
    NetworkCamera.seen = square(SECOND.path)
    assert SECOND.wnid in watching.stdout.readline()
    NetworkCamera.seen = None
    _, said = watching.communicate(timeout=60)
    assert watching.returncode == 1
    assert said.splitlines()[-1].endswith("sends no more pictures")


def test_ctrl_c_ends_it_without_a_trace(watching: "subprocess.Popen[str]") -> None:
    assert watching.stdout and FIRST.wnid in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=60)
    assert watching.returncode == -signal.SIGINT
    assert "Traceback" not in said


def test_what_is_no_camera_is_said_in_a_line(gateway_url: str) -> None:
    finished = python("camera.py", "--url", gateway_url, "missing.mp4")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith("camera.py: missing.mp4 cannot be opened")
