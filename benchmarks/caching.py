"""What Triton's response cache costs when it cannot help, and saves when it can."""

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.bodies import photos, tensors
from benchmarks.contenders import edgelens
from benchmarks.exports import LITE0
from benchmarks.load import Plan, press
from benchmarks.repositories import FLOAT, Repositories
from benchmarks.servers import running

PAIRS = 5


def measure(repositories: Repositories, scratch: Path, seconds: float) -> dict[str, Any]:
    """Return p50 latencies of one client, and each pair's difference, in ms.

    The difference is measured with tensors that never repeat, sent directly to Triton. It comes
    from hashing the request, so it is the same for every model with pictures of this size.
    """
    on = edgelens("cache on", repositories, LITE0, FLOAT, cache=True)
    off = edgelens("cache off", repositories, LITE0, FLOAT)
    lone = Plan(clients=1, seconds=seconds)
    with running(on) as cached, running(off) as plain:
        targets = [tensors(server, LITE0, scratch) for server in (cached, plain)]
        pairs = []
        for number in range(PAIRS):
            plan = replace(lone, salt=f"{number:04d}")
            # They take turns to go first, because the second of a pair meets a warmer machine.
            order = (0, 1) if number % 2 else (1, 0)
            pairs.append({which: press(targets[which], plan).p50_ms for which in order})
        hit = press(photos(cached), lone)
        miss = press(photos(plain), lone)
    return {
        "added_ms": [pair[0] - pair[1] for pair in pairs],
        "tensor_p50_ms": statistics.median(pair[1] for pair in pairs),
        "hit_p50_ms": hit.p50_ms,
        "without_p50_ms": miss.p50_ms,
    }
