"""The load generator: wrk, a kept C program that needs a small part of one core for this."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("pictures.lua")
LONGEST_ANSWER = 60  # seconds


@dataclass(frozen=True)
class Target:
    """Where to post which bodies."""

    url: str
    bodies: list[Path]
    headers: dict[str, str]


@dataclass(frozen=True)
class Load:
    """What a load of some seconds showed; latencies in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def throughput(self) -> float:
        """Good answers a second."""
        return self.requests / self.seconds


def press(target: Target, clients: int, seconds: float, distinct: bool = False) -> Load:
    """Let `clients` connections post one body after another for some seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("\n".join(str(path) for path in target.bodies) + "\n")
        listing.flush()
        environment = {
            **os.environ,
            "BENCH_BODIES": listing.name,
            "BENCH_HEADERS": "\n".join(f"{k}: {v}" for k, v in target.headers.items()),
        }
        if distinct:
            environment["BENCH_DISTINCT"] = "yes"
        command = ["wrk", f"-t{min(clients, 2)}", f"-c{clients}", f"-d{max(1, round(seconds))}s"]
        command += [f"--timeout={LONGEST_ANSWER}s", "-s", str(SCRIPT), target.url]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    (line,) = (text for text in run.stdout.splitlines() if text.startswith("RESULT "))
    return Load(**json.loads(line.removeprefix("RESULT ")))
