"""How throughput grows with Triton replicas, when the model does not need the processor.

The stand-in model sleeps for 200 ms and takes one picture at a time, so a replica can answer five
pictures a second; HAProxy balances single gRPC calls, as it does in docker-compose.yml.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.contenders import GATEWAY, INFERENCE, Contender, free_port, running, target
from benchmarks.load import press
from benchmarks.repositories import PHOTOS

COUNTS = (1, 2, 4, 8, 16)
CLIENTS_EACH = 3
SECONDS = 8
STAND_IN = Path(__file__).with_name("stand_in")


def measure(scratch: Path) -> dict[str, float]:
    """Return answers a second through gateway and balancer, by the number of replicas."""
    repository = _repository(scratch)
    found = {}
    with ExitStack() as stack:
        replicas = []
        for count in COUNTS:
            while len(replicas) < count:
                replicas.append(stack.enter_context(_replica(repository, len(replicas))))
            found[str(count)] = _throughput(replicas, scratch)
    return found


def _throughput(replicas: list[dict[str, int]], scratch: Path) -> float:
    with _balancer([replica["GRPC"] for replica in replicas], scratch) as port:
        gateway = Contender(
            f"gateway-{len(replicas)}",
            [str(GATEWAY), "-m", "gateway"],
            "/v1/classify",
            health="/readyz",
            environment={
                "TRITON_URL": f"127.0.0.1:{port}",
                "TRITON_METRICS_URL": f"http://127.0.0.1:{replicas[0]['METRICS']}/metrics",
                "THREADS": str(CLIENTS_EACH * len(replicas)),
            },
        )
        with running(gateway) as server:
            pressed = target(server, PHOTOS, scratch)
            clients = CLIENTS_EACH * len(replicas)
            press(pressed, clients, 2)
            return press(pressed, clients, SECONDS).throughput


def _repository(scratch: Path) -> Path:
    repository = scratch / "stand-in"
    (repository / "stand_in/1").mkdir(parents=True)
    shutil.copy(STAND_IN / "config.pbtxt", repository / "stand_in")
    shutil.copy(STAND_IN / "model.py", repository / "stand_in/1")
    labels = "\n".join(f"n{number:08d} class {number}" for number in range(10))
    (repository / "stand_in/labels.txt").write_text(labels + "\n")
    return repository


@contextmanager
def _replica(repository: Path, number: int) -> Iterator[dict[str, int]]:
    ports = {name: free_port() for name in ("HTTP", "GRPC", "METRICS", "HEALTH")}
    environment = {f"TRITON_{name}_PORT": str(port) for name, port in ports.items()}
    environment |= {
        "MODEL_REPOSITORY": str(repository),
        "EDGELENS_RUNTIME_DIR": str(repository.parent / f"run-{number}"),
    }
    contender = Contender(
        f"replica-{number}", [str(INFERENCE), "-m", "inference"], "/", environment=environment
    )
    with running(contender, f"http://127.0.0.1:{ports['HEALTH']}/readyz"):
        yield ports


@contextmanager
def _balancer(ports: list[int], scratch: Path) -> Iterator[int]:
    port = free_port()
    servers = "\n".join(f"    server t{i} 127.0.0.1:{p}" for i, p in enumerate(ports))
    template = Path(__file__).with_name("replicas.cfg").read_text()
    config = scratch / "haproxy.cfg"
    config.write_text(template.replace("{servers}", servers).replace("{port}", str(port)))
    process = subprocess.Popen(
        ["haproxy", "-db", "-q", "-f", str(config)],
        stdin=subprocess.DEVNULL,
        env={**os.environ},
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)
