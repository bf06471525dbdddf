"""How many requests a second one gateway process can pass on, when the model takes no time."""

from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from benchmarks.bodies import Bodies
from benchmarks.load import Plan, press
from benchmarks.stand_ins import StandIns, gateway

CLIENTS = 16


def measure(bodies: Bodies, seconds: float) -> dict[str, Any]:
    """Return `gateway_ceiling`, requests a second, and the whole of that load."""
    stand_ins = StandIns.written(bodies.scratch / "ceiling", 0.0)
    with ExitStack() as stack:
        (ports,) = stand_ins.started(stack, [0])
        with gateway("gateway-ceiling", ports["GRPC"], ports["METRICS"], CLIENTS) as server:
            load = press(bodies.target(server), Plan(CLIENTS, seconds=seconds))
    return {"gateway_ceiling": load.throughput, "ceiling": asdict(load)}
