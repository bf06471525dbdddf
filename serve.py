"""Run EdgeLens on this machine: a model, Triton, and the gateway in front of it.

Uses only the standard library, so that any Python 3.11 can start it; the parts run in the two
virtual environments that `make serve` prepares. Ctrl-C or SIGTERM stops everything.
"""

import argparse
import contextlib
import ctypes
import errno
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from inference.processes import is_working

HOME = Path(__file__).resolve().parent
INFERENCE_PYTHON = HOME / ".venv-inference/bin/python"
GATEWAY_PYTHON = HOME / ".venv/bin/python"
STEP_GRACE = 15.0  # seconds
TRITON_GRACE = 10.0  # seconds; what has not ended by then is killed
PORT_PATIENCE = 10.0  # seconds for which an earlier run may still hold a port
ASK_PERIOD = 2.0  # seconds between two questions to each part
MOST_SILENCES = 4  # questions in a row that a part may leave unanswered
STEADY = 10.0  # seconds a part must run before its next restart is immediate
LONGEST_PAUSE = 30.0  # seconds between two attempts to restart a part that keeps failing
PORTS = {"HTTP": "8000", "GRPC": "8001", "METRICS": "8002", "HEALTH": "8003"}
COMPANIONS = ("_image", "_decode")  # what stands beside a classifier, for direct clients
PR_SET_PDEATHSIG = 1


class ServeError(Exception):
    """Something the user can mend; its text is what the terminal shows."""


class Stop:
    """The wish to stop, which a signal may bring at any moment.

    A `threading.Event` would not do: a handler that sets it while the same thread is about to wait
    for it takes a lock which that thread already holds, and waits for itself for ever.
    """

    def __init__(self) -> None:
        self._wanted = False

    def set(self, *_: object) -> None:
        self._wanted = True

    def is_set(self) -> bool:
        return self._wanted

    def wait(self, seconds: float) -> bool:
        """Wait a moment, and tell whether to stop."""
        if not self._wanted:
            time.sleep(seconds)
        return self._wanted


def main() -> int:
    """Serve until told to stop; return the exit status."""
    _parse_arguments()
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop.set)
    try:
        _require_environments()
        _await_free_ports(stop)
        _require_free_port()
        _export_default_model(stop)
        _tune_default_model(stop)
        with tempfile.TemporaryDirectory(prefix="edgelens-") as scratch:
            return _serve(stop, Path(scratch) / "ready.json")
    except ServeError as error:
        print(f"edgelens: {error}", file=sys.stderr)
        return 1


def _parse_arguments() -> None:
    parser = argparse.ArgumentParser(
        description="Serve the model repository: Triton behind the gateway, until Ctrl-C.",
        epilog="Settings come from the environment: PORT (5000), HOST (127.0.0.1), MODEL, WEIGHTS, "
        "MODEL_REPOSITORY, TRITON_HOST (127.0.0.1), TRITON_HTTP_PORT (8000), TRITON_GRPC_PORT "
        "(8001), TRITON_METRICS_PORT (8002), TRITON_HEALTH_PORT (8003). README.md lists them all.",
    )
    parser.parse_args()


def _require_environments() -> None:
    for python in (INFERENCE_PYTHON, GATEWAY_PYTHON):
        if not python.exists():
            missing = python.relative_to(HOME).parts[0]
            raise ServeError(f"{missing} is missing; run `make serve`, which installs it")


def _await_free_ports(stop: Stop) -> None:
    """Let the parts of an earlier run, whose supervisor was killed, finish what they are at."""
    end, told = time.monotonic() + PORT_PATIENCE, False
    while (taken := _taken_ports()) and time.monotonic() < end and not stop.is_set():
        if not told:
            print(f"Waiting for an earlier run to leave port {', '.join(taken)}.", flush=True)
            told = True
        stop.wait(0.2)


def _taken_ports() -> list[str]:
    triton = os.environ.get("TRITON_HOST") or "127.0.0.1"
    places = [(triton, os.environ.get(f"TRITON_{n}_PORT") or port) for n, port in PORTS.items()]
    places.append((os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "5000"))
    return [port for host, port in places if _is_taken(host, port)]


def _is_taken(host: str, port: str) -> bool:
    """Tell whether a port is in use; whoever needs it finds out what else is wrong with it."""
    try:
        _listen(host, port)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _listen(host: str, port: str) -> None:
    """Listen for a moment. Raises OSError."""
    places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, _, _, address = places[0]
    with socket.socket(family, kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()


def _require_free_port() -> None:
    """Find a taken port before anything is started, and before a stranger there looks ready."""
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "5000"
    try:
        _listen(host, port)
    except OSError as error:
        raise ServeError(
            f"the gateway cannot listen on {host}:{port} ({error.strerror}); "
            "choose another place with PORT or HOST"
        ) from None


def _export_default_model(stop: Stop) -> None:
    """Let the exporter decide which model stands in the repository, unless one does already."""
    if _run_step(stop, [str(HOME / "export_model.py"), "--default"], "the model was exported"):
        raise ServeError("no model to serve: see the exporter's message above")


def _tune_default_model(stop: Stop) -> None:
    """Fit the model to this machine, if TUNE asks for that and it has not been done here."""
    if os.environ.get("TUNE", "") in ("", "0"):
        return
    model = os.environ.get("MODEL", "").strip()
    command = ["-m", "inference.tune", "--once", *([model] if model else [])]
    if _run_step(stop, command, "the model was tuned"):
        print("edgelens: not tuned, so the model is served as it was", file=sys.stderr, flush=True)


def _run_step(stop: Stop, arguments: list[str], purpose: str) -> int:
    """Run what comes before serving to its end and return its status; stop it if told to."""
    step = _start([str(INFERENCE_PYTHON), *arguments], {})
    while step.poll() is None and not stop.is_set():
        stop.wait(0.02)
    if stop.is_set():
        step.terminate()
        _finish(step, STEP_GRACE)
        raise ServeError(f"stopped before {purpose}; nothing was left half-written")
    return step.returncode


@dataclass
class Part:
    """A child process that is started again when it ends by itself."""

    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 1.0
    restart_at: float = field(default=0.0)
    health: str = ""
    asked: float = 0.0
    silences: int = 0

    def start(self) -> None:
        self.silences = 0
        self.process = _start(self.command, self.environment)
        self.started = time.monotonic()

    def exit_status(self) -> int | None:
        """Return the status of a part that has ended; None while it runs or waits for a restart."""
        return self.process.poll() if self.process else None

    def check(self) -> None:
        """Kill a part that is frozen, rather than short of a processor: it is to be revived."""
        now = time.monotonic()
        if self.process is None or now - self.asked < ASK_PERIOD:
            return
        self.asked = now
        self.silences = 0 if _answers(self.health) else self.silences + 1
        if self.silences >= MOST_SILENCES and not is_working(self.process.pid):
            print(f"edgelens: {self.name} does not answer; killing it", flush=True)
            os.killpg(self.process.pid, signal.SIGKILL)

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

    def stop(self, patience: float) -> None:
        """Ask the part to end, and wait for that as long."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)

    def finish(self, patience: float) -> None:
        """Wait for the part's end; kill what is left of it then."""
        if self.process:
            _finish(self.process, patience)


def _serve(stop: Stop, ready_file: Path) -> int:
    inference = Part(
        "Triton's launcher",
        [str(INFERENCE_PYTHON), "-m", "inference"],
        {"TRITON_READY_FILE": str(ready_file)},
    )
    gateway = Part("the gateway", [str(GATEWAY_PYTHON), "-m", "gateway"], {})
    try:
        inference.start()
        if not _ports_are_fixed():
            _wait(stop, inference, ready_file.exists)
            if stop.is_set():
                return 0
        ports = _ports(ready_file)
        inference.environment |= ports
        inference.health = f"http://{_triton_host()}:{ports['TRITON_HEALTH_PORT']}/healthz"
        gateway.environment, gateway.health = _addresses(ports), _page() + "healthz"
        gateway.start()
        _wait(stop, inference, lambda: _is_ready(gateway, ready_file))
        if not stop.is_set():
            _announce(_readiness(gateway))
        while not stop.wait(0.2):
            for part in (inference, gateway):
                part.revive()
                part.check()
    finally:
        _stop(gateway, inference)
    return 0


def _stop(gateway: Part, inference: Part) -> None:
    """Stop the gateway, which answers what it has admitted, then Triton, which that needs."""
    gateway.stop(_gateway_grace())
    inference.stop(0)
    gateway.finish(0)
    inference.finish(TRITON_GRACE)


def _gateway_grace() -> float:
    """Return the seconds after which the gateway gives up by itself, and some to end in."""
    grace = os.environ.get("GRACE_SECONDS")
    deadline = os.environ.get("DEADLINE_SECONDS") or "10"
    return 3.0 + (float(grace) if grace else float(deadline) + 2.0)


def _wait(stop: Stop, inference: Part, done: Callable[[], object]) -> None:
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


def _triton_host() -> str:
    """Return the host under which Triton can be reached, as it stands in an address."""
    host = os.environ.get("TRITON_HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _addresses(ports: dict[str, str]) -> dict[str, str]:
    """Say where the gateway finds Triton, unless the user has said so."""
    host = _triton_host()
    found = {
        "TRITON_URL": f"{host}:{ports['TRITON_GRPC_PORT']}",
        "TRITON_METRICS_URL": f"http://{host}:{ports['TRITON_METRICS_PORT']}/metrics",
    }
    return {name: os.environ.get(name) or address for name, address in found.items()}


def _is_ready(gateway: Part, ready_file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # Triton is not ready yet
        _require_model(json.loads(ready_file.read_text())["models"])
    return bool(_readiness(gateway))


def _require_model(ready: list[dict[str, str]]) -> None:
    """Fail if Triton is ready without the model that the user wants: it would never come."""
    wanted = os.environ.get("MODEL", "").strip()
    names = {model["name"] for model in ready if not model["name"].endswith(COMPANIONS)}
    if wanted and wanted not in names and not os.environ.get("TRITON_URL"):
        served = ", ".join(sorted(names))
        raise ServeError(
            f"MODEL={wanted} cannot be the default: Triton serves {served}; choose from these, "
            f"or add it first with `make model MODEL={wanted}`"
        )


def _page() -> str:
    host = os.environ.get("HOST", "127.0.0.1")
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return f"http://{shown}:{os.environ.get('PORT', '5000')}/"


def _announce(readiness: dict[str, Any]) -> None:
    if absent := readiness.get("stands_in_for"):
        print(
            f"edgelens: {readiness['model']} stands in for {absent}, whose trained weights are "
            f"not here; `make model MODEL={absent}` fetches them, with WEIGHTS=FILE from a file",
            flush=True,
        )
    print(f"\nEdgeLens is ready: open {_page()} (Ctrl-C stops it)\n", flush=True)


def _readiness(gateway: Part) -> dict[str, Any]:
    """Return what the gateway says of itself, nothing while it is not ready."""
    if gateway.exit_status() is not None:
        raise ServeError("the gateway did not start: see the message above")
    try:
        with urllib.request.urlopen(_page() + "readyz", timeout=5) as answer:  # noqa: S310
            said: dict[str, Any] = json.load(answer)
            return said
    except (OSError, ValueError):
        return {}


def _start(command: list[str], extra: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own (Ctrl-C is ours to pass on) that dies with us."""
    return subprocess.Popen(
        command,
        cwd=HOME,
        env={**os.environ, **extra},
        start_new_session=True,
        preexec_fn=partial(_die_with_parent, os.getpid()),  # noqa: PLW1509 (there are no threads)
    )


def _die_with_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before the kernel knew


def _answers(url: str) -> bool:
    """Tell whether a part answers at all; it does so at once unless it is frozen or starved."""
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310
            return True
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _finish(process: subprocess.Popen[bytes], grace: float) -> None:
    """Wait for a child's end; kill its whole group if it has not come within `grace` seconds."""
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
