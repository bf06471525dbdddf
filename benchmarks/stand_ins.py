"""Triton replicas whose model sleeps instead of computing, and the gateway in front of them."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.servers import Contender, Server, running
from serving.processes import GATEWAY_PYTHON, INFERENCE_PYTHON

MODEL = Path(__file__).with_name("stand_in")
NAP = 'string_value: "0.2"'  # seconds, as the model's configuration has it
AT_ONCE = 2  # replicas that start at the same time


class StandIns:
    """Replicas that serve the stand-in from a directory of their own; each answer takes `nap` s."""

    def __init__(self, directory: Path, nap: float) -> None:
        self._directory = directory
        self._stacks: list[ExitStack] = []
        model = directory / "repository/stand_in"
        (model / "1").mkdir(parents=True)
        config = (MODEL / "config.pbtxt").read_text()
        (model / "config.pbtxt").write_text(config.replace(NAP, f'string_value: "{nap}"'))
        shutil.copy(MODEL / "model.py", model / "1")
        labels = "\n".join(f"n{number:08d} class {number}" for number in range(10))
        (model / "labels.txt").write_text(labels + "\n")

    def start(self, numbers: Sequence[int]) -> list[dict[str, int]]:
        """Start replicas with these numbers; return their ports."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._started, numbers))

    def close(self) -> None:
        """End all replicas at the same time, because each takes a second or two."""
        with ThreadPoolExecutor(max(1, len(self._stacks))) as pool:
            list(pool.map(ExitStack.close, self._stacks))

    def _started(self, number: int) -> dict[str, int]:
        """Run one Triton with the stand-in until `close`; return its ports."""
        environment = {
            "MODEL_REPOSITORY": str(self._directory / "repository"),
            "EDGELENS_RUNTIME_DIR": str(self._directory / f"run-{number}"),
        }
        command = [str(INFERENCE_PYTHON), "-m", "inference"]
        contender = Contender(
            f"replica-{number}", command, "/", "/readyz", environment, "TRITON_HEALTH_PORT"
        )
        stack = ExitStack()
        self._stacks.append(stack)
        return stack.enter_context(running(contender)).ports


def gateway(name: str, grpc: int, metrics: int, threads: int) -> AbstractContextManager[Server]:
    """Run one gateway process in front of the Triton, or the balancer, at these ports."""
    environment = {
        "TRITON_URL": f"127.0.0.1:{grpc}",
        "TRITON_METRICS_URL": f"http://127.0.0.1:{metrics}/metrics",
        "THREADS": str(threads),
    }
    command = [str(GATEWAY_PYTHON), "-m", "gateway"]
    contender = Contender(name, command, "/v1/classify", health="/readyz", environment=environment)
    return running(contender)
