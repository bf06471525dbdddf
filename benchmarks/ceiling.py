"""How many requests per second one gateway process can forward when the model takes no time."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bodies import photos
from benchmarks.load import Plan, press
from benchmarks.stand_ins import StandIns, gateway

CLIENTS = 16


def measure(scratch: Path, seconds: float) -> dict[str, Any]:
    """Return the figures of a load through one gateway."""
    with closing(StandIns(scratch / "ceiling", 0.0)) as stand_ins:
        (ports,) = stand_ins.start([0])
        grpc, metrics = ports["TRITON_GRPC_PORT"], ports["TRITON_METRICS_PORT"]
        with gateway("gateway-ceiling", grpc, metrics, CLIENTS) as server:
            return asdict(press(photos(server), Plan(CLIENTS, seconds=seconds)))
