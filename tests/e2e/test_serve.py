"""`make serve`: what starts, what is started again, and what is left behind."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from tests.e2e.conftest import HOME, free_port, is_ready
from tests.photos import photos
from tests.waiting import wait_until

PHOTO = photos()[0]
MODEL = "efficientnet_lite0"


@dataclass
class Serve:
    """A running `make serve` of a repository that holds a small model."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    environment: dict[str, str]

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        """Return the child whose command line ends with these words."""
        for process in self.children():
            if process.cmdline()[-len(words) :] == list(words):
                return process
        raise LookupError(words)


@pytest.fixture
def serve(repository: Path, tmp_path: Path) -> Iterator[Callable[[], Serve]]:
    """Return a function that runs `make serve` until it is ready."""
    models = tmp_path / "models"
    models.mkdir(exist_ok=True)
    for directory in repository.glob(f"{MODEL}*"):
        (models / directory.name).symlink_to(directory)
    started: list[Serve] = []

    def start() -> Serve:
        port = free_port()
        ports = {f"TRITON_{name}_PORT": "0" for name in ("HTTP", "GRPC", "METRICS", "HEALTH")}
        environment = {
            **os.environ,
            **ports,
            "PORT": str(port),
            "MODEL_REPOSITORY": str(models),
            "EDGELENS_RUNTIME_DIR": str(tmp_path / "run"),
        }
        log = tmp_path / f"serve-{len(started)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["make", "--silent", "serve"],
                cwd=HOME,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        running = Serve(process, f"http://127.0.0.1:{port}", log, environment)
        started.append(running)
        wait_until(
            lambda: is_ready(running.url) or process.poll() is not None, "serve is ready", 120
        )
        assert process.poll() is None, log.read_text()
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            os.killpg(running.process.pid, signal.SIGTERM)
            running.process.wait(60)


def classify(url: str) -> str:
    """Return what the photograph shows, or the code of the error."""
    answer = requests.post(f"{url}/v1/classify", files={"image": PHOTO.data}, timeout=30).json()
    if "error" in answer:
        return str(answer["error"]["code"])
    return str(answer["results"][0]["predictions"][0]["wnid"])


def segments() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir() if "shm_region" in path.name}


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_ctrl_c_stops_everything(serve: Callable[[], Serve]) -> None:
    before = segments()
    running = serve()
    assert classify(running.url) == PHOTO.wnid
    wait_until(lambda: running.url in running.log.read_text(), "the page's address is shown", 30)
    children = running.children()
    assert len(children) >= 4
    os.killpg(running.process.pid, signal.SIGINT)
    running.process.wait(60)
    assert gone(children)
    assert segments() <= before
    assert "Traceback" not in running.log.read_text()


def test_a_second_start_neither_installs_nor_exports(serve: Callable[[], Serve]) -> None:
    running = serve()
    text = running.log.read_text()
    assert "installing" not in text
    assert "export" not in text.lower()


def test_a_killed_gateway_is_started_again(serve: Callable[[], Serve]) -> None:
    running = serve()
    gateway = running.child("-m", "gateway")
    gateway.kill()
    wait_until(lambda: gone([gateway]), "the gateway is gone", 10)
    wait_until(lambda: is_ready(running.url), "a new gateway is ready", 60)
    assert classify(running.url) == PHOTO.wnid


def test_a_killed_launcher_is_started_again(serve: Callable[[], Serve]) -> None:
    running = serve()
    launcher = running.child("-m", "inference")
    triton = launcher.children(recursive=True)
    launcher.kill()
    wait_until(lambda: gone([launcher, *triton]), "Triton is gone with its launcher", 40)
    wait_until(lambda: classify(running.url) == PHOTO.wnid, "a new Triton answers", 90)


def test_killing_all_at_once_leaves_nothing_in_the_way(serve: Callable[[], Serve]) -> None:
    before = segments()
    running = serve()
    children = running.children()
    os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait(10)
    wait_until(lambda: gone(children), "the parts end with their supervisor", 40)
    again = serve()
    assert classify(again.url) == PHOTO.wnid
    os.killpg(again.process.pid, signal.SIGTERM)
    again.process.wait(60)
    assert segments() <= before
