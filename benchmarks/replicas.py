"""How throughput grows with Triton replicas, when the model does not need the processor.

The stand-in model sleeps for 200 ms and takes one picture at a time, so a replica can answer five
pictures a second; HAProxy balances single gRPC calls, as it does in docker-compose.yml.
"""

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bodies import photos
from benchmarks.load import Plan, press
from benchmarks.servers import free_port
from benchmarks.stand_ins import StandIns, gateway

COUNTS = (1, 2, 4, 8, 16)
CLIENTS_EACH = 3
NAP = 0.2  # seconds


def measure(scratch: Path, seconds: float) -> dict[str, dict[str, Any]]:
    """Return the figures of a load through gateway and balancer, by the number of replicas."""
    found = {}
    replicas: list[dict[str, int]] = []
    with closing(StandIns(scratch / "replicas", NAP)) as stand_ins:
        for count in COUNTS:
            replicas += stand_ins.start(range(len(replicas), count))
            found[str(count)] = _pressed(replicas, scratch, seconds)
    return found


def _pressed(replicas: list[dict[str, int]], scratch: Path, seconds: float) -> dict[str, Any]:
    clients = CLIENTS_EACH * len(replicas)
    metrics = replicas[0]["TRITON_METRICS_PORT"]
    with (
        _balancer([replica["TRITON_GRPC_PORT"] for replica in replicas], scratch) as port,
        gateway(f"gateway-{len(replicas)}", port, metrics, threads=clients) as server,
    ):
        return asdict(press(photos(server), Plan(clients=clients, seconds=seconds)))


@contextmanager
def _balancer(ports: list[int], scratch: Path) -> Iterator[int]:
    port = free_port()
    servers = "\n".join(f"    server t{i} 127.0.0.1:{p}" for i, p in enumerate(ports))
    template = Path(__file__).with_name("replicas.cfg").read_text()
    config = scratch / "haproxy.cfg"
    config.write_text(template.replace("{servers}", servers).replace("{port}", str(port)))
    command = ["haproxy", "-db", "-q", "-f", str(config)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)
