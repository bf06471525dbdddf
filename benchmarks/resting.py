"""How soon EdgeLens is ready on a prepared machine, and how much memory Triton holds at rest."""

import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import edgelens
from benchmarks.exports import LITE0, VGG16
from benchmarks.repositories import FLOAT, Repositories
from benchmarks.servers import Server, running

IDLE = 4  # seconds: the backend gives memory back after three without a large batch
SERVED = ((VGG16, FLOAT), (VGG16, "int8"), (LITE0, FLOAT))
PROGRAMS = ("tritonserver", "triton_python_backend_stub")


def measure(repositories: Repositories) -> dict[str, dict[str, Any]]:
    """Return seconds from `python3 serve.py` to /readyz, and megabytes, by model and precision."""
    found = {}
    for model, precision in SERVED:
        contender = edgelens(f"resting {model} {precision}", repositories, model, precision, True)
        with running(contender) as server:
            time.sleep(IDLE)
            weights = repositories.weight_bytes(model, precision) / 1e6
            measured = {"start_seconds": server.start_seconds, "weights_mb": weights}
            held = _memory(server, repositories.of(model, precision))
            found[f"{model}, {precision}"] = measured | held
    return found


def _memory(server: Server, repository: Path) -> dict[str, Any]:
    """Return the megabytes that Triton's server and the models' processes hold."""
    parts = {
        _name(command, repository): size / 1e6
        for command, size in server.processes()
        if command and Path(command[0]).name in PROGRAMS
    }
    return {"mb": sum(parts.values()), "parts_mb": parts}


def _name(command: list[str], repository: Path) -> str:
    """Return the name of a stub's model, in whose directory one of its arguments is, or its own."""
    for word in command[1:]:
        if Path(word).is_relative_to(repository):
            return Path(word).relative_to(repository).parts[0]
    return Path(command[0]).name
