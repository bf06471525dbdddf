"""Run EdgeLens on this machine: a model, Triton, and the gateway in front of it.

The parts run in the two virtual environments that `make serve` prepares. Ctrl-C or SIGTERM stops
everything.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from inference.repository import is_classifier
from serving import places
from serving.ask import ask
from serving.errors import ServeError
from serving.part import Part
from serving.processes import GATEWAY_PYTHON, HOME, INFERENCE_PYTHON, finish, start
from serving.stop import Stop

Said = TypeVar("Said")
STEP_GRACE = 15.0  # seconds
TRITON_GRACE = 10.0  # seconds; what has not ended by then is killed


def main() -> int:
    """Serve until told to stop; return the exit status."""
    _parse_arguments()
    stop = Stop()
    stop.on_signals()
    try:
        _require_environments()
        places.await_free_ports(stop)
        places.require_free_port()
        _export_default_model(stop)
        _tune_default_model(stop)
        with tempfile.TemporaryDirectory(prefix="edgelens-") as scratch:
            _serve(stop, Path(scratch) / "ready.json")
    except ServeError as error:
        print(f"edgelens: {error}", file=sys.stderr)
        return 1
    return 0


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


def _export_default_model(stop: Stop) -> None:
    """Let the exporter decide which model stands in the repository, unless one does already."""
    if _run_step(stop, [str(HOME / "export_model.py"), "--default"], "the model was exported"):
        raise ServeError("no model to serve: see the exporter's message above")


def _tune_default_model(stop: Stop) -> None:
    """Fit the model to this machine, if TUNE asks for that and it has not been done here."""
    if os.environ.get("TUNE", "") in ("", "0"):
        return
    model = _wanted_model()
    command = ["-m", "inference.tune", "--once", *([model] if model else [])]
    if _run_step(stop, command, "the model was tuned"):
        print("edgelens: not tuned, so the model is served as it was", file=sys.stderr, flush=True)


def _run_step(stop: Stop, arguments: list[str], purpose: str) -> int:
    """Run what comes before serving to its end and return its status; stop it if told to."""
    step = start([str(INFERENCE_PYTHON), *arguments], {})
    while step.poll() is None and not stop.is_set():
        stop.wait(0.02)
    if stop.is_set():
        step.terminate()
        finish(step, STEP_GRACE)
        raise ServeError(f"stopped before {purpose}; nothing was left half-written")
    return step.returncode


def _serve(stop: Stop, ready_file: Path) -> None:
    told = {"TRITON_READY_FILE": str(ready_file)}
    inference = Part("Triton", [str(INFERENCE_PYTHON), "-m", "inference"], told)
    gateway = Part("the gateway", [str(GATEWAY_PYTHON), "-m", "gateway"], {})
    try:
        inference.start()
        if not places.ports_are_fixed() and not _wait(stop, [inference], ready_file.exists):
            return
        ports = places.triton_ports(ready_file)
        inference.environment |= ports
        inference.health = places.triton_health(ports)
        gateway.environment = places.triton_addresses(ports)
        gateway.health = places.page() + "healthz"
        gateway.start()
        if readiness := _wait(stop, [inference, gateway], lambda: _readiness(ready_file)):
            _announce(readiness)
        while not stop.wait(0.2):
            for part in (inference, gateway):
                part.revive()
                part.check()
    finally:
        _stop(gateway, inference)


def _stop(gateway: Part, inference: Part) -> None:
    """Stop the gateway, which answers what it has admitted, then Triton, which that needs."""
    gateway.stop(_gateway_grace())
    inference.stop(0)
    gateway.finish(0)
    inference.finish(TRITON_GRACE)


def _gateway_grace() -> float:
    """Return the seconds after which the gateway gives up by itself, and some to end in."""
    grace = os.environ.get("GRACE_SECONDS", "").strip()
    deadline = os.environ.get("DEADLINE_SECONDS", "").strip() or "10"
    try:
        return 3.0 + (float(grace) if grace else float(deadline) + 2.0)
    except ValueError:  # the gateway has said so, and ended
        return 0.0


def _wait(stop: Stop, parts: list[Part], asked: Callable[[], Said]) -> Said | None:
    """Wait until `asked()` says something, and return that; None if told to stop."""
    while not stop.is_set():
        for part in parts:
            part.require_start()
            part.revive()
        if said := asked():
            return said
        stop.wait(0.05)
    return None


def _readiness(ready_file: Path) -> dict[str, Any]:
    """Return what the gateway says of itself, nothing while it is not ready."""
    with contextlib.suppress(FileNotFoundError):  # Triton is not ready yet
        _require_model(json.loads(ready_file.read_text())["models"])
    try:
        with ask(places.page() + "readyz", timeout=5) as answer:
            said: dict[str, Any] = json.load(answer)
            return said
    except (OSError, ValueError):
        return {}


def _require_model(ready: list[dict[str, str]]) -> None:
    """Fail if Triton is ready without the model that the user wants: it would never come."""
    wanted = _wanted_model()
    names = {model["name"] for model in ready if is_classifier(model["name"])}
    if wanted and wanted not in names and not os.environ.get("TRITON_URL"):
        served = ", ".join(sorted(names))
        raise ServeError(
            f"MODEL={wanted} cannot be the default: Triton serves {served}; choose from these, "
            f"or add it first with `make model MODEL={wanted}`"
        )


def _wanted_model() -> str:
    return os.environ.get("MODEL", "").strip()


def _announce(readiness: dict[str, Any]) -> None:
    if absent := readiness.get("stands_in_for"):
        print(
            f"edgelens: {readiness['model']} stands in for {absent}, whose trained weights are "
            f"not here; `make model MODEL={absent}` fetches them, with WEIGHTS=FILE from a file",
            flush=True,
        )
    print(f"\nEdgeLens is ready: open {places.page()} (Ctrl-C stops it)\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
