"""The parts of the Docker command line that the container tests need."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIMIT = 600.0  # seconds that any one command may take
NO_ENGINE = (
    "No Docker engine answers, so the container tests cannot run: start one"
    " (`systemctl start docker`), or leave them out; every other test is in `make test`."
)


class DockerError(AssertionError):
    """A docker command failed; the text is what it said."""


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command and return its standard output; raise DockerError with its last lines."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise DockerError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{tail}")
    return done.stdout.strip()


def docker(*arguments: str) -> str:
    return run("docker", *arguments)


def inspect(container: str) -> dict[str, Any]:
    """Return everything the engine knows about a container."""
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found


def python_in(container: str, program: str, *arguments: str) -> str:
    """Run a Python program in a running container."""
    return docker("exec", container, "python", "-S", "-c", program, *arguments)
