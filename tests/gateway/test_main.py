"""The process: `python -m gateway`."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

HOME = Path(__file__).resolve().parents[2]
NOBODY = {"TRITON_URL": "127.0.0.1:9", "TRITON_METRICS_URL": "http://127.0.0.1:9/metrics"}


def start(**settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway"],
        cwd=HOME,
        env={**os.environ, **NOBODY, "PORT": "0", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def running() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with start() as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().rsplit(" ", 1)[1].strip()
        finally:
            process.kill()


def test_it_says_where_it_listens_and_is_not_ready_without_triton(
    running: tuple[subprocess.Popen[str], str],
) -> None:
    _, url = running
    assert requests.get(url + "healthz", timeout=10).status_code == 200
    assert requests.get(url + "readyz", timeout=10).status_code == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_it_cleanly(
    running: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    process, _ = running
    process.send_signal(number)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in complaints


def test_a_bad_setting_is_one_sentence() -> None:
    with start(THREADS="many") as process:
        _, complaints = process.communicate(timeout=30)
    assert process.returncode == 2
    assert complaints.count("\n") == 1
    assert "THREADS='many'" in complaints


def test_a_missing_key_file_is_one_sentence(tmp_path: Path) -> None:
    with start(API_KEYS_FILE=str(tmp_path / "keys")) as process:
        _, complaints = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "API_KEYS_FILE" in complaints and complaints.count("\n") == 1


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with start(PORT=port) as process:
            _, complaints = process.communicate(timeout=30)
    assert process.returncode == 1
    assert complaints.count("\n") == 1
    assert f"127.0.0.1:{port}" in complaints
