"""Run EdgeLens on this machine: a model, Triton, and the gateway in front of it.

The parts run in the two virtual environments that `make serve` prepares. Ctrl-C or SIGTERM stops
everything.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends it silently

import argparse
import difflib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from exporter.architectures import ARCHITECTURES
from gateway import setting
from gateway.model_names import is_classifier
from gateway.setting import SettingError
from gateway.terminal import say, tell
from inference.settings import HOME
from inference.tritonserver.identity import Run
from serving.errors import ServeError
from serving.inquiry import Inquiry
from serving.part import Part
from serving.places import Places
from serving.processes import GATEWAY_PYTHON, INFERENCE_PYTHON, finish, start
from serving.stop import Stop

STEP_GRACE = 15.0  # seconds
GLANCE = 0.2  # seconds between two looks at the parts
ENDING = 3.0  # seconds in which a gateway that has given up must end
TRITON_GRACE = 10.0  # seconds; what has not ended by then is killed


def main() -> int:
    """Serve until told to stop; return the exit status."""
    _parse_arguments()
    stop = Stop()
    stop.on_signals()
    try:
        _require_environments()
        places = Places.from_env(os.environ)
        tunes = setting.read(os.environ, "TUNE", setting.switch, "0")
        places.await_free_ports(stop)
        if stop.is_set():
            return 0
        places.require_page()
        _require_known_model(places)
        _export_default_model(stop)
        if tunes:
            _tune_default_model(stop, places.gateway.model)
        with tempfile.TemporaryDirectory(prefix=Run.current().prefix) as scratch:
            _serve(stop, places, Path(scratch) / "ready.json")
    except (ServeError, SettingError) as error:
        print(f"edgelens: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # there is no temporary directory, or no room for a process
        print(f"edgelens: the system refuses what is needed: {error}", file=sys.stderr)
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
    """Let the exporter choose a model for the repository, unless it holds one already."""
    if _run_step(stop, [str(HOME / "export_model.py"), "--default"], "the model was exported"):
        raise ServeError("no model to serve: see the exporter's message above")


def _tune_default_model(stop: Stop, model: str) -> None:
    """Tune the model, "" for the only one, to this machine, unless that was done before."""
    command = ["-m", "inference.tune", "--once", *([model] if model else [])]
    if _run_step(stop, command, "the model was tuned"):
        say("edgelens: not tuned; the model is served as it was", sys.stderr)


def _run_step(stop: Stop, arguments: list[str], purpose: str) -> int:
    """Run a step that comes before serving, and return its status; stop it if told to."""
    step = start([str(INFERENCE_PYTHON), *arguments], {})
    while step.poll() is None and not stop.is_set():
        stop.wait(0.02)
    if stop.is_set():
        step.terminate()
        finish(step, STEP_GRACE)
        raise ServeError(f"stopped before {purpose}; nothing was left half-written")
    return step.returncode


def _serve(stop: Stop, places: Places, ready_file: Path) -> None:
    ports = places.chosen_ports()
    inference = Part(
        "Triton's launcher",
        [str(INFERENCE_PYTHON), "-m", "inference"],
        {"TRITON_READY_FILE": str(ready_file), **ports},
        places.triton_health(ports),
    )
    gateway = Part(
        "the gateway",
        [str(GATEWAY_PYTHON), "-m", "gateway"],
        places.triton_addresses(ports),
        places.page + "healthz",
    )
    try:
        inference.start()
        gateway.start()
        if readiness := _await_readiness(stop, [inference, gateway], Inquiry(places, ready_file)):
            _announce(readiness, places.page)
        while not stop.wait(GLANCE):
            for part in (inference, gateway):
                part.revive()
                part.check()
    finally:
        # The gateway answers what it has admitted, and Triton is needed for that.
        gateway.stop(places.gateway.grace_seconds + ENDING)
        inference.stop(0)
        gateway.finish(0)
        inference.finish(places.triton.leave_seconds + TRITON_GRACE)


def _await_readiness(stop: Stop, parts: list[Part], inquiry: Inquiry) -> dict[str, Any]:
    """Wait until all is ready, and return what the gateway says; nothing if told to stop."""
    while not stop.is_set():
        for part in parts:
            part.require_start()
            part.revive()
            part.check()
        if said := inquiry.answer():
            return said
        stop.wait(GLANCE)
    return {}


def _require_known_model(places: Places) -> None:
    """Fail at once for a default model that does not exist, instead of when all parts run."""
    wanted, repository = places.gateway.model, places.triton.repository
    if not wanted or places.elsewhere or wanted in ARCHITECTURES:
        return
    if not is_classifier(wanted):
        raise ServeError(
            f"MODEL={wanted} names no classifier: such names belong to the models beside one"
        )
    if not (repository / wanted).is_dir():
        near = difflib.get_close_matches(wanted.lower(), ARCHITECTURES, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ServeError(
            f"MODEL={wanted} is neither in {repository} nor known to the exporter{meant} "
            "(`python3 export_model.py --list` lists what it knows)"
        )


def _announce(readiness: dict[str, Any], page: str) -> None:
    if absent := readiness.get("stands_in_for"):
        tell(
            f"edgelens: {readiness['model']} stands in for {absent}, whose trained weights are "
            f"missing; `make model MODEL={absent}` downloads them (WEIGHTS=FILE reads a file)"
        )
    tell(f"\nEdgeLens is ready: open {page} (Ctrl-C stops it)\n")


if __name__ == "__main__":
    sys.exit(main())
