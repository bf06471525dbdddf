"""The process: `python -m gateway`."""

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.pictures import encode, scene
from tests.places import HOME

ALONE = ["-m", "gateway"]
WITH_STUB = [
    "-c",
    "from gateway.__main__ import main; from tests.gateway.stub import StubTriton; "
    "raise SystemExit(main(StubTriton()))",
]
BUSY = """
import cv2, numpy
from gateway.__main__ import main
from tests.gateway.stub import StubTriton

class Busy(StubTriton):
    def infer(self, *_):
        print("busy", flush=True)
        while True:
            cv2.blur(numpy.zeros((500, 500, 3), numpy.uint8), (9, 9))

raise SystemExit(main(Busy()))
"""
SECRET = "hunter2"
NOBODY = {"TRITON_URL": "127.0.0.1:9", "TRITON_METRICS_URL": "http://127.0.0.1:9/metrics"}


def start(program: list[str] = ALONE, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # Under nohup, the tests ignore SIGHUP, and what they start would inherit that. SIGTERM ends
        # it even where the program that starts it ignores it.
        ["env", "--default-signal=HUP", "--ignore-signal=TERM", sys.executable, *program],
        cwd=HOME,
        env={**os.environ, **NOBODY, "PORT": "0", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().rsplit(" ", 1)[1].strip()


@pytest.fixture
def running() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with start() as process:
        try:
            yield process, address_of(process)
        finally:
            process.kill()


def test_it_says_where_it_listens_and_is_not_ready_without_triton(
    running: tuple[subprocess.Popen[str], str],
) -> None:
    _, url = running
    assert requests.get(url + "healthz", timeout=10).status_code == 200
    assert requests.get(url + "readyz", timeout=10).status_code == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(
    running: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    process, _ = running
    process.send_signal(number)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in complaints


def test_it_ends_cleanly_while_opencv_is_at_work() -> None:
    """Here for a probe; a client's large picture may take longer than the grace."""
    with start(["-c", BUSY]) as process:
        try:
            assert process.stdout
            while process.stdout.readline() != "busy\n":
                assert process.poll() is None
            process.terminate()
            _, complaints = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (0, "")


@pytest.mark.parametrize(
    ("setting", "value"), [("THREADS", "many"), ("HOST", "no.such.host.invalid")]
)
def test_a_bad_setting_is_one_sentence(setting: str, value: str) -> None:
    with start(**{setting: value}) as process:
        _, complaints = process.communicate(timeout=60)
    assert process.returncode == 2
    assert complaints.count("\n") == 1
    assert f"{setting}='{value}'" in complaints


def test_a_missing_key_file_is_one_sentence(tmp_path: Path) -> None:
    with start(API_KEYS_FILE=str(tmp_path / "keys")) as process:
        _, complaints = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "API_KEYS_FILE" in complaints and complaints.count("\n") == 1


def test_a_limit_of_threads_is_one_sentence() -> None:
    program = f"""
import threading
def refuse(_):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
{WITH_STUB[1]}"""
    process = start(["-c", program])
    said, complaint = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")
    assert "`ulimit -u`" in complaint
    assert complaint.count("\n") == 1


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with start(PORT=port) as process:
            _, complaints = process.communicate(timeout=30)
    assert process.returncode == 1
    assert complaints.count("\n") == 1
    assert f"127.0.0.1:{port} " in complaints and "PORT or HOST" in complaints


def broken_pictures() -> Iterator[bytes]:
    """Yield damaged pictures that make the decoding libraries complain."""
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF", "BMP"):
        sound = encode(scene(96, 72), kind)
        for at in range(30, len(sound) - 40, max(40, len(sound) // 20)):
            yield sound[:at] + SECRET.encode() * 3 + sound[at + 3 * len(SECRET) :]
    transparent = encode(scene(96, 72).convert("RGBA"), "TIFF")
    size = struct.pack("<HHI", 279, 4, 1)  # of the only strip
    assert transparent.count(size) == 1
    yield transparent.replace(size, struct.pack("<HHI", 279, 4, 1_000_000))


def say(url: str, raw: bytes) -> None:
    host, port = url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(raw)
        connection.recv(65536)


def send_hostile_requests(url: str) -> None:
    """Say the secret in every place a request has."""
    classify = f"{url}v1/classify"
    headers = {"X-Forwarded-For": f'"{SECRET}', "X-Forwarded-Proto": SECRET, "X-API-Key": SECRET}
    for data in broken_pictures():
        assert (
            requests.post(classify, files={"image": (SECRET, data)}, timeout=20).status_code < 500
        )
    for path in (SECRET, f"%0a{SECRET}", f"v1/classify?model={SECRET}", f"static/{SECRET}"):
        answer = requests.get(url + path, headers=headers, timeout=20)
        assert answer.status_code in (404, 405)
        assert SECRET not in answer.text
    for kind in ("application/json", "multipart/form-data; boundary=x", "image/png", SECRET):
        answer = requests.post(
            classify, SECRET, headers={**headers, "Content-Type": kind}, timeout=20
        )
        assert 400 <= answer.status_code < 500
    for raw in (
        f"{SECRET}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{SECRET}\r\n\r\n",
        f"GET {SECRET}://[\r\n\r\n",
    ):
        say(url, raw.encode())


def test_nothing_of_a_request_is_logged() -> None:
    with start(WITH_STUB, MODEL="colours", TRUSTED_PROXY="*") as process:
        try:
            send_hostile_requests(address_of(process))
            process.terminate()
            said, complaints = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert (said, complaints) == ("", "")


def test_the_libraries_are_silent_and_the_gateway_is_not() -> None:
    program = (
        "import os, sys; from gateway.__main__ import silence_libraries; silence_libraries(); "
        "os.write(2, b'a library'); print('the gateway', file=sys.stderr); os.abort()"
    )
    with start(["-c", program]) as process:
        _, complaints = process.communicate(timeout=30)
    assert complaints.startswith("the gateway\nFatal Python error: Aborted")
