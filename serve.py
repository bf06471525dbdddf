"""Run EdgeLens on this machine: a model, Triton, and the gateway in front of it.

Uses only the standard library, so that any Python 3.11 can start it; the parts run in the two
virtual environments that `make serve` prepares. Ctrl-C or SIGTERM stops everything.
"""

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HOME = Path(__file__).resolve().parent
INFERENCE_PYTHON = HOME / ".venv-inference/bin/python"
GATEWAY_PYTHON = HOME / ".venv/bin/python"
TRITON_GRACE = 15.0  # seconds; Triton answers what it has accepted, then stops
GATEWAY_GRACE = 20.0  # seconds; a request may take until its deadline
STEADY = 10.0  # seconds a part must run before its next restart is immediate
LONGEST_PAUSE = 30.0  # seconds between two attempts to restart a part that keeps failing
PORTS = {"HTTP": "8000", "GRPC": "8001", "METRICS": "8002", "HEALTH": "8003"}
PR_SET_PDEATHSIG = 1


class ServeError(Exception):
    """Something the user can mend; its text is what the terminal shows."""


def main() -> int:
    """Serve until told to stop; return the exit status."""
    _parse_arguments()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        _require_environments()
        _export_default_model(stop)
        with tempfile.TemporaryDirectory(prefix="edgelens-") as scratch:
            return _serve(stop, Path(scratch) / "ready.json")
    except ServeError as error:
        print(f"edgelens: {error}", file=sys.stderr)
        return 1


def _parse_arguments() -> None:
    parser = argparse.ArgumentParser(
        description="Serve the model repository: Triton behind the gateway, until Ctrl-C.",
        epilog="Settings come from the environment: PORT (5000), HOST (127.0.0.1), MODEL, WEIGHTS, "
        "MODEL_REPOSITORY, TRITON_HTTP_PORT (8000), TRITON_GRPC_PORT (8001), "
        "TRITON_METRICS_PORT (8002), TRITON_HEALTH_PORT (8003). README.md lists all of them.",
    )
    parser.parse_args()


def _require_environments() -> None:
    for python in (INFERENCE_PYTHON, GATEWAY_PYTHON):
        if not python.exists():
            missing = python.relative_to(HOME).parts[0]
            raise ServeError(f"{missing} is missing; run `make serve`, which installs it")


def _export_default_model(stop: threading.Event) -> None:
    """Let the exporter decide which model stands in the repository, unless one does already."""
    command = [str(INFERENCE_PYTHON), str(HOME / "export_model.py"), "--default"]
    exporter = _start(command, {})
    while exporter.poll() is None and not stop.is_set():
        stop.wait(0.02)
    if stop.is_set():
        _finish(exporter, TRITON_GRACE)
        raise ServeError("stopped before the model was exported; nothing was left half-written")
    if exporter.returncode != 0:
        raise ServeError("no model to serve: see the exporter's message above")


@dataclass
class Part:
    """A child process that is started again when it ends by itself."""

    name: str
    command: list[str]
    environment: dict[str, str]
    grace: float
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 1.0
    restart_at: float = field(default=0.0)

    def start(self) -> None:
        self.process = _start(self.command, self.environment)
        self.started = time.monotonic()

    def exit_status(self) -> int | None:
        """Return the status of a part that has ended; None while it runs or waits for a restart."""
        return self.process.poll() if self.process else None

    def revive(self) -> None:
        """Restart the part if it has ended; wait longer each time it ends soon after its start."""
        now = time.monotonic()
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return
            steady = now - self.started > STEADY
            self.pause = 1.0 if steady else min(self.pause * 2, LONGEST_PAUSE)
            self.restart_at = now + (0.0 if steady else self.pause)
            self.process = None
            print(f"edgelens: {self.name} ended (status {status}); restarting it", flush=True)
        if now >= self.restart_at:
            self.start()

    def stop(self) -> None:
        if self.process:
            _finish(self.process, self.grace)


def _serve(stop: threading.Event, ready_file: Path) -> int:
    inference = Part(
        "Triton's launcher",
        [str(INFERENCE_PYTHON), "-m", "inference"],
        {"TRITON_READY_FILE": str(ready_file)},
        TRITON_GRACE,
    )
    gateway = Part("the gateway", [str(GATEWAY_PYTHON), "-m", "gateway"], {}, GATEWAY_GRACE)
    try:
        inference.start()
        if not _ports_are_fixed():
            _wait(stop, inference, ready_file.exists)
            if stop.is_set():
                return 0
        ports = _ports(ready_file)
        inference.environment |= ports
        gateway.environment = _addresses(ports)
        gateway.start()
        _wait(stop, inference, lambda: _ready(gateway))
        if not stop.is_set():
            print(f"\nEdgeLens is ready: open {_page()} (Ctrl-C stops it)\n", flush=True)
        while not stop.wait(0.2):
            inference.revive()
            gateway.revive()
    finally:
        gateway.stop()
        inference.stop()
    return 0


def _wait(stop: threading.Event, inference: Part, done: Callable[[], bool]) -> None:
    """Wait for `done()`; fail if Triton's launcher gives up meanwhile, for it has said why."""
    while not stop.is_set() and not done():
        if inference.exit_status() is not None:
            raise ServeError("Triton did not start: see the message above")
        stop.wait(0.05)


def _ports_are_fixed() -> bool:
    return "0" not in (os.environ.get(f"TRITON_{name}_PORT") for name in PORTS)


def _ports(ready_file: Path) -> dict[str, str]:
    """Return Triton's ports as settings: those asked for, or those the launcher chose.

    A launcher that is started again gets the same ones, for the gateway knows them.
    """
    if _ports_are_fixed():
        return {
            f"TRITON_{name}_PORT": os.environ.get(f"TRITON_{name}_PORT", default)
            for name, default in PORTS.items()
        }
    chosen = json.loads(ready_file.read_text())
    return {f"TRITON_{name}_PORT": str(chosen[f"{name.lower()}_port"]) for name in PORTS}


def _addresses(ports: dict[str, str]) -> dict[str, str]:
    """Say where the gateway finds Triton."""
    return {
        "TRITON_URL": f"127.0.0.1:{ports['TRITON_GRPC_PORT']}",
        "TRITON_METRICS_URL": f"http://127.0.0.1:{ports['TRITON_METRICS_PORT']}/metrics",
    }


def _page() -> str:
    host = os.environ.get("HOST", "127.0.0.1")
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return f"http://{shown}:{os.environ.get('PORT', '5000')}/"


def _ready(gateway: Part) -> bool:
    if gateway.exit_status() is not None:
        raise ServeError("the gateway did not start: see the message above")
    try:
        with urllib.request.urlopen(_page() + "readyz", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _start(command: list[str], extra: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own (Ctrl-C is ours to pass on) that dies with us."""
    return subprocess.Popen(
        command,
        cwd=HOME,
        env={**os.environ, **extra},
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 (no thread has been started yet)
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _finish(process: subprocess.Popen[bytes], grace: float) -> None:
    """Ask a child to stop; kill its whole group if it has not done so within `grace` seconds."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
