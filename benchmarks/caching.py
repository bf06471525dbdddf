"""What Triton's response cache costs where it cannot help, and gains where it can."""

import statistics
from typing import Any

from benchmarks.bodies import Bodies
from benchmarks.contenders import edgelens
from benchmarks.exports import LITE0
from benchmarks.load import Plan, press
from benchmarks.repositories import FLOAT, Repositories
from benchmarks.servers import running

PAIRS = 5


def measure(repositories: Repositories, bodies: Bodies, seconds: float) -> dict[str, Any]:
    """Return `cache_cost`, a share of the time of tensors that never repeat, and `cache`.

    Tensors, for without decoding and gateway the cache's share of the work is at its largest; the
    median of sixteen clients' times, for a rare pause of either server would outweigh the cost.
    """
    on = edgelens("cache on", repositories, LITE0, FLOAT, cache=True)
    off = edgelens("cache off", repositories, LITE0, FLOAT)
    with running(on) as cached, running(off) as plain:
        targets = [bodies.tensors(server, LITE0) for server in (cached, plain)]
        costs = []
        for pair in range(PAIRS):
            plan = Plan(seconds=seconds, salt=f"{pair:04d}")
            # Each first in turn: the second of a pair meets a warmer machine.
            order = (0, 1) if pair % 2 else (1, 0)
            times = {number: press(targets[number], plan).p50_ms for number in order}
            costs.append(times[0] / times[1] - 1)
        lone = Plan(clients=1, seconds=seconds)
        hit = press(bodies.target(cached), lone)
        miss = press(bodies.target(plain), lone)
    alone = {"hit_p50_ms": hit.p50_ms, "without_p50_ms": miss.p50_ms}
    return {"cache_cost": statistics.median(costs), "cache": {"costs": costs, **alone}}
