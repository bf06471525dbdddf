"""Who is measured: how each contender is started and where it answers."""

import base64
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.load import Target

HOME = Path(__file__).resolve().parents[1]
PEERS = HOME / ".venv-peers/bin"
GATEWAY = HOME / ".venv/bin/python"
INFERENCE = HOME / ".venv-inference/bin/python"
LOGS = HOME / ".cache/bench/logs"
START = 120  # seconds a contender may take until it answers
PORTS = ("HTTP", "GRPC", "METRICS", "HEALTH")


@dataclass(frozen=True)
class Contender:
    """A server under test. `command` may hold {port}; `kind` says what its bodies are."""

    name: str
    command: list[str]
    path: str
    kind: str = "jpeg"
    health: str = "/healthz"
    environment: dict[str, str] = field(default_factory=dict)


def edgelens(name: str, repository: Path, model: str, **extra: str) -> Contender:
    """EdgeLens as `make serve` runs it; its cache is off, for the load repeats its pictures."""
    environment = {"MODEL_REPOSITORY": str(repository), "MODEL": model, "TRITON_CACHE_BYTES": "0"}
    return Contender(
        name,
        ["python3", "serve.py"],
        "/v1/classify",
        health="/readyz",
        environment=environment | extra,
    )


def peer(name: str, kind: str, saved_model: Path, engine: str, precision: str) -> Contender:
    """A peer that serves the same SavedModel with the engine given."""
    commands = {
        "flask": [
            *(str(PEERS / "gunicorn"), "--bind", "127.0.0.1:{port}", "--worker-class", "gthread"),
            *("--threads", "16", "--workers", "1", "--log-level", "warning"),
            "benchmarks.peers.flask_app:app",
        ],
        "litserve": [
            *(str(PEERS / "python"), "-m", "benchmarks.peers.litserve_app"),
            *("--port", "{port}"),
        ],
        "bentoml": [
            *(str(PEERS / "bentoml"), "serve", "benchmarks.peers.bentoml_app:Classifier"),
            *("--host", "127.0.0.1", "--port", "{port}"),
        ],
        "ray": [
            *(str(PEERS / "python"), "-m", "benchmarks.peers.ray_start", "--port", "{port}"),
        ],
    }
    health = {"litserve": "/health", "bentoml": "/readyz"}.get(kind, "/healthz")
    environment = {
        "BENCH_SAVED_MODEL": str(saved_model),
        "BENCH_LABELS": str(saved_model.parents[1] / "labels.txt"),
        "BENCH_ENGINE": engine,
        "BENCH_PRECISION": precision,
        "PYTHONPATH": str(HOME),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    body = "json" if kind == "litserve" else "jpeg"
    return Contender(name, commands[kind], "/predict", body, health, environment)


def article(labels: Path) -> Contender:
    """The app of the article: Keras in the web process."""
    command = [str(INFERENCE), "-m", "benchmarks.peers.article", "--port", "{port}"]
    environment = {"PYTHONPATH": str(HOME), "BENCH_LABELS": str(labels)}
    return Contender(
        "article (Flask + Keras predict)", command, "/predict", "jpeg", "/healthz", environment
    )


@dataclass(frozen=True)
class Server:
    """A contender that answers."""

    contender: Contender
    process: subprocess.Popen[bytes]
    port: int
    triton_http: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.contender.path}"

    def memory(self) -> int:
        """Return the proportional resident size of the whole process tree in bytes."""
        tree = [psutil.Process(self.process.pid)]
        tree += tree[0].children(recursive=True)
        return sum(p.memory_full_info().pss for p in tree if p.is_running())


@contextmanager
def running(contender: Contender, health: str = "") -> Iterator[Server]:
    """Start a contender, wait until it answers (at `health` if given), and end it afterwards."""
    port = free_port()
    ports = {name: free_port() for name in PORTS}
    LOGS.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PORT": str(port), "EDGELENS_RUNTIME_DIR": str(LOGS / "run")}
    environment |= {f"TRITON_{name}_PORT": str(number) for name, number in ports.items()}
    with (LOGS / f"{contender.name.replace('/', '-')}.log").open("wb") as log:
        process = subprocess.Popen(
            [word.format(port=port) for word in contender.command],
            cwd=HOME,
            env=environment | contender.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _wait(process, health or f"http://127.0.0.1:{port}{contender.health}", contender.name)
        yield Server(contender, process, port, ports["HTTP"])
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, name: str) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended by itself; its log is in {LOGS}")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"{name} did not answer within {START} s; its log is in {LOGS}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a contender and everything it started, also what left its process group."""
    tree = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for child in psutil.wait_procs(tree, timeout=5)[1]:
        child.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bodies(kind: str, photos: list[Path], scratch: Path) -> tuple[list[Path], dict[str, str]]:
    """Return the request bodies of a kind and the headers that go with them."""
    if kind == "jpeg":
        return photos, {"Content-Type": "image/jpeg"}
    written = []
    for photo in photos:
        path = scratch / f"{photo.stem}.json"
        text = base64.b64encode(photo.read_bytes()).decode()
        path.write_text(json.dumps({"image_bytes": text}))
        written.append(path)
    return written, {"Content-Type": "application/json"}


def target(server: Server, photos: list[Path], scratch: Path) -> Target:
    """Return where and how to press a server."""
    paths, headers = bodies(server.contender.kind, photos, scratch)
    return Target(server.url, paths, headers)
