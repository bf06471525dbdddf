"""`make serve`: what starts, what is started again, and what is left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from benchmarks.servers import free_port
from gateway.ask import answers
from inference.tritonserver.identity import Run
from inference.tritonserver.processes import is_alive
from tests.e2e.conftest import is_ready
from tests.lite import MODEL, copy_repository
from tests.logs import fill, shown_on_failure
from tests.photos import photos
from tests.places import HOME
from tests.servers import Running, kill_children
from tests.waiting import wait_until

PHOTO = photos()[0]
READY = "EdgeLens is ready: "
MAKE_SERVE = ("make", "--silent", "serve")
HANGS = 60  # seconds after which something that should end counts as hanging


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

    def has_child(self, *words: str) -> bool:
        with contextlib.suppress(LookupError, psutil.NoSuchProcess):
            return bool(self.child(*words))
        return False

    def stop(self) -> None:
        """End it, without waiting until Triton has unloaded its models."""
        os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(LookupError, psutil.Error):
            launcher = self.child("-m", "inference")
            launcher.terminate()
            kill_children(launcher.pid)
        self.process.wait(HANGS)


@pytest.fixture
def launch(repository: Path, tmp_path: Path) -> Iterator[Callable[..., Serve]]:
    """Return a function that runs `make serve` with the settings it is given."""
    models = copy_repository(repository, tmp_path / "models")
    started: list[Serve] = []

    def start(
        log: Path | None = None,
        command: Sequence[str] = MAKE_SERVE,
        cwd: Path = HOME,
        **settings: str,
    ) -> Serve:
        port = settings.get("PORT") or str(free_port())
        ports = {f"TRITON_{name}_PORT": "0" for name in ("HTTP", "GRPC", "METRICS", "HEALTH")}
        environment = {
            **os.environ,
            **ports,
            "PORT": port,
            "MODEL_REPOSITORY": str(models),
            "EDGELENS_RUNTIME_DIR": str(tmp_path / "run"),
            **settings,
        }
        log = log or tmp_path / f"serve-{len(started)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        running = Serve(process, f"http://127.0.0.1:{port}", log, environment)
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()


@pytest.fixture
def serve(launch: Callable[..., Serve]) -> Callable[..., Serve]:
    """Return a function that runs `make serve` until it is ready."""

    def start(**options: Any) -> Serve:
        running = launch(**options)
        ended = running.process.poll
        with shown_on_failure(running.log):
            wait_until(lambda: is_ready(running.url) or ended() is not None, "serve is ready", 120)
            assert ended() is None, "serve has ended"
        return running

    return start


def complaint(running: Serve) -> str:
    """Return the one sentence that a start ends with."""
    assert running.process.wait(2 * HANGS) != 0
    said = running.log.read_text()
    assert "Traceback" not in said
    (sentence,) = [line for line in said.splitlines() if line.startswith("edgelens: ")]
    return sentence


def classify(url: str) -> str:
    """Return what the photograph shows, or the code of the error."""
    answer = requests.post(f"{url}/v1/classify", files={"image": PHOTO.data}, timeout=30).json()
    if "error" in answer:
        return str(answer["error"]["code"])
    return str(answer["results"][0]["predictions"][0]["wnid"])


def segments(processes: list[psutil.Process]) -> list[str]:
    """Return what these processes left in shared memory."""
    pids = {process.pid for process in processes}
    runs = {path.name: Run.from_name(path.name) for path in Path("/dev/shm").iterdir()}
    return [name for name, run in runs.items() if run and run.pid in pids]


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and is_alive(p.pid) for p in processes)


def test_ctrl_c_stops_everything(serve: Callable[..., Serve]) -> None:
    running = serve()
    assert classify(running.url) == PHOTO.wnid
    wait_until(lambda: READY in running.log.read_text(), "the page's address is shown", 30)
    assert f"{READY}open {running.url}/" in running.log.read_text()
    children = running.children()
    assert len(children) >= 4
    assert segments(children)
    os.killpg(running.process.pid, signal.SIGINT)
    running.process.wait(HANGS)
    assert gone(children)
    assert segments(children) == []
    assert "Traceback" not in running.log.read_text()


def test_triton_may_leave_for_as_long_as_it_is_told_to(serve: Callable[..., Serve]) -> None:
    running = serve(TRITON_LEAVE_SECONDS="15")
    key = Path(running.environment["EDGELENS_RUNTIME_DIR"], "admin-key")
    assert key.exists()
    os.killpg(running.process.pid, signal.SIGTERM)
    running.process.wait(HANGS)
    assert not key.exists()  # the launcher takes it back at its own end, but not if it is killed


def test_a_terminal_that_is_closed_ends_what_it_was_opened_for(serve: Callable[..., Serve]) -> None:
    # Under nohup, the tests ignore SIGHUP, and what they start would inherit that.
    heeding = ("env", "--default-signal=HUP")
    running = serve(command=(*heeding, "script", "-qc", "exec make --silent serve", "/dev/null"))
    children = running.children()
    assert len(children) >= 4
    running.process.kill()  # the terminal's other side
    running.process.wait(HANGS)
    wait_until(lambda: gone(children), "all have ended", HANGS)


SIGNALS_WHILE_WAITING = """
import signal, serve
stop = serve.Stop()
signal.signal(signal.SIGALRM, stop.set)
signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
for _ in range(1_000_000):
    stop.wait(0)
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_a_signal_at_the_worst_moment_still_stops_it() -> None:
    command = [sys.executable, "-c", SIGNALS_WHILE_WAITING]
    subprocess.run(command, cwd=HOME, check=True, timeout=HANGS)


def in_flight(url: str) -> float:
    lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("edgelens_in_flight{"))


def test_what_was_admitted_is_answered_after_ctrl_c(serve: Callable[..., Serve]) -> None:
    running = serve()
    files = [("images[]", (photo.wnid, photo.data)) for photo in photos()]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(requests.post, f"{running.url}/v1/classify", files=files, timeout=HANGS)
        wait_until(
            lambda: asked.done() or in_flight(running.url) >= len(files), "it is admitted", HANGS
        )
        os.killpg(running.process.pid, signal.SIGINT)
        results = asked.result().json()["results"]
    assert [r["predictions"][0]["wnid"] for r in results] == [photo.wnid for photo in photos()]
    running.process.wait(HANGS)


def changes(repository: Path) -> dict[Path, int]:
    """Return when each version, each of its files, and each environment last changed."""
    versions = list(repository.glob(f"{MODEL}*/[0-9]*"))
    files = [file for version in versions for file in version.rglob("*")]
    stamps = [HOME / ".venv/.gateway", HOME / ".venv-inference/.export"]
    return {path: path.stat().st_mtime_ns for path in (*versions, *files, *stamps)}


def test_a_second_start_neither_installs_nor_exports_and_says_which_model_stands_in(
    serve: Callable[..., Serve], tmp_path: Path
) -> None:
    before = changes(tmp_path / "models")
    # A proxy is for the internet, not for servers on this machine.
    running = serve(http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")
    wait_until(lambda: READY in running.log.read_text(), "the page's address is shown", 30)
    assert changes(tmp_path / "models") == before
    text = running.log.read_text()
    assert f"edgelens: {MODEL} stands in for vgg16" in text
    assert "installing" not in text
    assert "export" not in text.lower()


def test_a_relative_path_starts_where_the_user_is(
    serve: Callable[..., Serve], tmp_path: Path
) -> None:
    (tmp_path / "gateway").mkdir()  # the user's, not ours
    (tmp_path / "numpy.py").write_text("raise SystemExit('no')")
    command = [sys.executable, str(HOME / "serve.py")]
    relative = {"MODEL_REPOSITORY": "models", "EDGELENS_RUNTIME_DIR": "run"}
    running = serve(command=command, cwd=tmp_path, **relative)
    assert classify(running.url) == PHOTO.wnid
    text = running.log.read_text()
    assert f"its log is {tmp_path}/run/triton.log" in text
    assert "export" not in text.lower()


def test_a_default_that_is_not_there_is_one_sentence(launch: Callable[..., Serve]) -> None:
    said = complaint(launch(MODEL="vgg16"))
    assert "MODEL=vgg16 " in said
    assert f"Triton serves {MODEL};" in said
    assert "`make model MODEL=vgg16`" in said


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"GRACE_SECONDS": "soon"}, "GRACE_SECONDS='soon' cannot be used"),
        ({"TRITON_ADMIN_KEY": "short"}, "TRITON_ADMIN_KEY must be 8 to 256 letters"),
        ({"PORT": "0"}, "PORT=0 would hide the page"),
        ({"HOST": "*"}, "HOST='*' cannot be used"),
        ({"HOST": "192.0.2.1"}, "the gateway cannot listen on 192.0.2.1:"),
        ({"TRITON_HOST": "192.0.2.1"}, "'192.0.2.1' is not an address of this machine"),
        ({"TUNE": "maybe"}, "TUNE='maybe' cannot be used: give 1, yes, true, on or 0, "),
        ({"MODEL": "VGG166"}, "nor known to the exporter; did you mean vgg16?"),
        ({"MODEL": f"{MODEL}_image"}, "_image names no classifier"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_one_sentence_and_nothing_is_started(
    launch: Callable[..., Serve], settings: dict[str, str], sentence: str
) -> None:
    running = launch(**settings)
    assert sentence in complaint(running)
    assert "Starting Triton" not in running.log.read_text()


def test_ports_that_are_taken_or_given_twice_are_one_sentence_and_nothing_is_started(
    launch: Callable[..., Serve],
) -> None:
    """Both wait at the same time, because an earlier run may still hold the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, free = str(taken.getsockname()[1]), str(free_port())
        refused, torn = (launch(PORT=each, TRITON_HTTP_PORT=each) for each in (port, free))
        assert f"PORT={port}, TRITON_HTTP_PORT={port} in use" in complaint(refused)
        assert f"TRITON_HTTP_PORT={free} is the port of another setting too" in complaint(torn)
        assert "Waiting" not in torn.log.read_text()  # there is nothing to wait for
    for running in (refused, torn):
        assert "Starting Triton" not in running.log.read_text()


def test_who_ends_the_wait_for_a_port_is_told_nothing_more(launch: Callable[..., Serve]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        waiting = launch(PORT=port, command=(sys.executable, "serve.py"))
        said = f"Waiting for PORT={port} to become free.\n"
        wait_until(lambda: waiting.log.read_text() == said, "it waits", HANGS)
        waiting.process.send_signal(signal.SIGINT)
        assert waiting.process.wait(HANGS) == 0
    assert waiting.log.read_text() == said


def test_a_full_disk_without_room_for_temporary_files_is_told(
    launch: Callable[..., Serve],
) -> None:
    # The limit stands in for it, and must not apply to the log.
    full = 'said=$(prlimit --fsize=0 "$0" serve.py 2>&1); status=$?; echo "$said"; exit $status'
    running = launch(command=("sh", "-c", full, sys.executable))
    assert "the system refuses what is needed: [Errno 2] No usable" in complaint(running)


def test_a_place_that_cannot_be_looked_at_is_named(launch: Callable[..., Serve]) -> None:
    place = "/" + "long" * 100
    sentence = complaint(launch(MODEL="mine", MODEL_REPOSITORY=place))
    assert f"File name too long: '{place}" in sentence


def test_a_triton_that_is_not_where_it_should_be_is_told(launch: Callable[..., Serve]) -> None:
    running = launch(TRITON_URL="127.0.0.1:1")
    sentence = "edgelens: not ready yet (TRITON_URL=127.0.0.1:1): "
    wait_until(lambda: sentence in running.log.read_text(), "the reason is told", HANGS)


def test_the_gateway_follows_triton_to_another_address(serve: Callable[..., Serve]) -> None:
    blank = {"TRITON_URL": " ", "TRITON_METRICS_URL": " "}  # counts as not set
    running = serve(TRITON_HOST="127.0.0.2", MODEL=MODEL, **blank)
    assert classify(running.url) == PHOTO.wnid
    assert "HTTP 127.0.0.2:" in running.log.read_text()
    assert "stands in" not in running.log.read_text()


def test_the_gateway_asks_the_triton_it_was_told(
    serve: Callable[..., Serve], triton: Running
) -> None:
    """Only that one serves VGG16."""
    running = serve(
        TRITON_URL=f"127.0.0.1:{triton.grpc_port}",
        TRITON_METRICS_URL=f"http://127.0.0.1:{triton.metrics_port}/metrics",
    )
    models = requests.get(f"{running.url}/v1/models", timeout=10).json()["models"]
    assert "vgg16" in [model["name"] for model in models]


@pytest.mark.parametrize("part", ["gateway", "inference"])
def test_a_part_killed_before_all_is_ready_is_started_again(
    launch: Callable[..., Serve], part: str
) -> None:
    running = launch()
    wait_until(lambda: running.has_child("-m", part), "the part is started", 60)
    running.child("-m", part).kill()
    wait_until(lambda: READY in running.log.read_text(), "serve is ready", 120)
    assert classify(running.url) == PHOTO.wnid


def test_the_page_is_there_before_triton_is(launch: Callable[..., Serve]) -> None:
    running = launch()
    wait_until(lambda: running.has_child("-m", "inference"), "the launcher is started", 60)
    running.child("-m", "inference").suspend()
    wait_until(lambda: answers(f"{running.url}/healthz", timeout=5), "the page is there", HANGS)


def test_a_killed_launcher_is_started_again(serve: Callable[..., Serve]) -> None:
    running = serve()
    launcher = running.child("-m", "inference")
    triton = launcher.children(recursive=True)
    launcher.kill()
    wait_until(lambda: gone([launcher, *triton]), "Triton is gone with its launcher", 40)
    wait_until(lambda: classify(running.url) == PHOTO.wnid, "a new Triton answers", 90)
    assert " Triton's launcher was killed by SIGKILL; restarting it" in running.log.read_text()


def test_a_full_disk_under_its_log_stops_nothing(launch: Callable[..., Serve]) -> None:
    running = launch(log=Path("/dev/full"))
    wait_until(lambda: is_ready(running.url), "serve is ready", 120)
    kill_and_await_healing(running)


def test_a_reader_of_its_log_that_has_stopped_stops_nothing(
    launch: Callable[..., Serve], tmp_path: Path
) -> None:
    log = tmp_path / "pipe"
    os.mkfifo(log)
    pipe = os.open(log, os.O_RDWR)
    try:
        running = launch(log=log)
        wait_until(lambda: is_ready(running.url), "serve is ready", 120)
        fill(pipe)
        kill_and_await_healing(running)
    finally:
        os.close(pipe)


def kill_and_await_healing(running: Serve) -> None:
    gateway, launcher = running.child("-m", "gateway"), running.child("-m", "inference")
    (triton,) = [child for child in launcher.children() if child.name() == "tritonserver"]
    for part in (gateway, triton):  # the terminal reports their healing
        part.kill()
    wait_until(lambda: gone([gateway, triton]), "both are gone", 10)
    wait_until(lambda: is_ready(running.url), "both are back", 90)
    assert classify(running.url) == PHOTO.wnid
    assert launcher.is_running()


def test_killing_all_at_once_leaves_nothing_in_the_way(serve: Callable[..., Serve]) -> None:
    running = serve()
    children = running.children()
    os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait(10)
    wait_until(lambda: gone(children), "the parts end with their supervisor", 40)
    again = serve()
    children += again.children()
    assert classify(again.url) == PHOTO.wnid
    os.killpg(again.process.pid, signal.SIGTERM)
    again.process.wait(HANGS)
    assert segments(children) == []
