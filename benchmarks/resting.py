"""How soon EdgeLens is ready on a prepared machine, and how much memory Triton holds at rest."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.contenders import edgelens
from benchmarks.exports import LITE0, VGG16
from benchmarks.repositories import FLOAT, Repositories
from benchmarks.servers import Server, running

IDLE = 4  # seconds: the backend gives memory back after three without a large batch
SERVED = ((VGG16, FLOAT), (VGG16, "int8"), (LITE0, FLOAT))
SERVER, STUB = "tritonserver", "triton_python_backend_stub"


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
    parts = {name: size / 1e6 for name, size in _parts(server, repository)}
    return {"mb": sum(parts.values()), "parts_mb": parts}


def _parts(server: Server, repository: Path) -> Iterator[tuple[str, int]]:
    """Yield the server and the models' processes by name, with their size in bytes."""
    for command, size in server.processes():
        program = Path(command[0]).name if command else ""
        if program == SERVER:
            yield SERVER, size
        elif program == STUB:
            yield _model_of(command, repository), size


def _model_of(command: list[str], repository: Path) -> str:
    """Return the name of a stub's model, in whose directory one of its arguments is."""
    for word in command[1:]:
        if Path(word).is_relative_to(repository):
            return Path(word).relative_to(repository).parts[0]
    return STUB
