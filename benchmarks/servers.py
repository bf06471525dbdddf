"""Starts a contender, waits for it, measures it from outside, and ends it and all it started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.places import HOME, KEPT, LOGS
from gateway.ask import answers
from inference.tritonserver.ports import take_any
from serving.processes import finish

START = 90  # seconds a contender may take until it answers
STOP = 15
PORTS = ("PORT", *(f"TRITON_{part}_PORT" for part in ("HTTP", "GRPC", "METRICS", "HEALTH")))
# The only variables that a contender inherits: no local setting may slow one of them down.
PASSED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Contender:
    """A server under test; it takes pictures at `path`.

    Its ports are variables of its environment; `command` may hold {port} for PORT's. It answers at
    `health`, on the port that `health_port` names, once it is ready.
    """

    name: str
    command: list[str]
    path: str
    health: str = "/healthz"
    environment: dict[str, str] = field(default_factory=dict)
    health_port: str = "PORT"


@dataclass(frozen=True)
class Server:
    """A contender that answers; `start_seconds` is how long its start took."""

    contender: Contender
    process: subprocess.Popen[bytes]
    ports: dict[str, int]
    start_seconds: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['PORT']}{self.contender.path}"

    @property
    def triton(self) -> str:
        return f"http://127.0.0.1:{self.ports['TRITON_HTTP_PORT']}"

    def memory(self, without: str = "") -> int:
        """Return the proportional resident size of the process tree in bytes.

        A process whose command line has the argument `without` does not count.
        """
        return sum(size for words, size in self.processes() if not without or without not in words)

    def processes(self) -> list[tuple[list[str], int]]:
        """Return the command line and the proportional resident size of each process."""
        found = []
        for process in tree(self.process.pid):
            with contextlib.suppress(psutil.Error):  # it may end meanwhile
                found.append((process.cmdline(), process.memory_full_info().pss))
        return found


@contextmanager
def running(contender: Contender) -> Iterator[Server]:
    """Start a contender, wait until it answers, and end it afterwards."""
    ports = {name: free_port() for name in PORTS}
    LOGS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    process = _start(contender, ports)
    try:
        url = f"http://127.0.0.1:{ports[contender.health_port]}{contender.health}"
        _wait(process, url, contender.name)
        yield Server(contender, process, ports, time.monotonic() - began)
    finally:
        _end(process)


def _start(contender: Contender, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    environment = {
        **{name: os.environ[name] for name in PASSED if name in os.environ},
        "EDGELENS_RUNTIME_DIR": str(log(contender.name).with_suffix(".run")),
        "EDGELENS_CACHE_DIR": str(KEPT / "converted"),
    }
    environment |= {name: str(port) for name, port in ports.items()}
    with log(contender.name).open("wb") as file:
        return subprocess.Popen(
            [word.replace("{port}", str(ports["PORT"])) for word in contender.command],
            cwd=HOME,
            env=environment | contender.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def log(name: str) -> Path:
    """Return the path of the file with a contender's output."""
    return LOGS / f"{name.replace('/', '-')}.log"


def _wait(process: subprocess.Popen[bytes], url: str, name: str) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended by itself; see {log(name)}")
        if answers(url, timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{name} did not answer within {START} s; see {log(name)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a contender and everything it started, including what left its process group."""
    children = tree(process.pid)[1:]
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    finish(process, STOP)
    with contextlib.suppress(ProcessLookupError):  # children of one that ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    for child in psutil.wait_procs(children, timeout=5)[1]:
        with contextlib.suppress(psutil.Error):
            child.kill()


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants; nothing if it is gone."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody gets by chance before it is used."""
    with take_any("127.0.0.1", "PORT") as probe:
        return int(probe.getsockname()[1])
