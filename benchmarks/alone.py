"""What a single request costs on an idle machine, next to inference alone and decoding alone."""

import statistics
from pathlib import Path

from benchmarks.bodies import photos, tensors
from benchmarks.contenders import GATEWAY_FLOAT, edgelens
from benchmarks.exports import LITE0
from benchmarks.limits import Limits
from benchmarks.load import Plan, press
from benchmarks.repositories import FLOAT
from benchmarks.servers import running

TIMES = 3


def measure(limits: Limits, scratch: Path, seconds: float) -> dict[str, float]:
    """Return the medians in ms. The parts take turns, so that all meet the same conditions."""
    found: dict[str, list[float]] = {"gateway": [], "triton": [], "inference": [], "decode": []}
    plan = Plan(clients=1, warm_seconds=1, seconds=seconds)
    with running(edgelens(GATEWAY_FLOAT, limits.repositories, LITE0, FLOAT)) as server:
        for _ in range(TIMES):
            found["gateway"].append(press(photos(server), plan).p50_ms)
            found["triton"].append(press(tensors(server, LITE0, scratch), plan).p50_ms)
            found["inference"].append(limits.engine(LITE0, FLOAT, 1)["p50_ms"])
            found["decode"].append(limits.decoding())
    return {f"{name}_p50_ms": statistics.median(times) for name, times in found.items()}
