"""What is tried: for each tuned value in turn, variants of the best candidate so far."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.backends.tensorflow.precision import INT8_MODEL, float_precision
from inference.tuning.candidate import Candidate, is_savedmodel

Axis = Callable[[Candidate], list[Candidate]]

BATCHES = (4, 8, 16, 32)
DELAYS = (0, 200, 1000)  # microseconds


def axes(config: Mapping[str, Any], version: Path, cpus: int, most: int) -> list[Axis]:
    """List the axes of a model, what matters most first; at most `most` instances fit in memory."""
    ours = is_savedmodel(config)
    found: list[Axis] = [_instances(cpus, most, ours)]
    if ours:
        found.insert(0, _precisions(version))
    if "dynamic_batching" in config:
        found.append(lambda best: [replace(best, batch=batch) for batch in BATCHES])
        found.append(lambda best: [replace(best, delay=delay) for delay in DELAYS])
    return found


def _precisions(version: Path) -> Axis:
    """Try what is no coarser than the choice of `auto`; a precision that was asked for stays."""
    finer = ["bf16", "f32"] if float_precision() == "bf16" else ["f32"]
    if not (version / INT8_MODEL).is_file():
        del finer[0]  # that is what `auto` chooses
    return lambda best: [
        replace(best, precision=precision) for precision in finer if best.precision == "auto"
    ]


def _instances(cpus: int, most: int, ours: bool) -> Axis:
    """Try instances and threads that together use from half of the CPUs to twice as many."""
    counts = sorted({2, cpus, *(1 << bit for bit in range(cpus.bit_length()))})
    pairs = [
        (instances, 0 if not ours or threads == max(1, cpus // instances) else threads)
        for instances in counts
        for threads in counts
        if instances <= most and cpus <= 2 * instances * threads <= 4 * cpus
    ]
    return lambda best: [
        replace(best, instances=instances, threads=threads)
        for instances, threads in dict.fromkeys(pairs)
    ]
