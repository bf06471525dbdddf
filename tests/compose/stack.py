"""A compose project of the tests' own: other ports, another name, another image tag."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.compose.docker import DockerError, docker, python_in, run
from tests.waiting import wait_until

HOME = Path(__file__).resolve().parents[2]
FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
JPEG = {"Content-Type": "image/jpeg"}
START_LIMIT = 240.0  # seconds; generous, the export included


def fresh_clone(where: Path) -> Path:
    """Clone the project, with what is changed in tracked files but not committed yet."""
    run("git", "clone", "--quiet", HOME, where)
    changes = subprocess.run(
        ["git", "diff", "--binary", "HEAD"], cwd=HOME, check=True, capture_output=True
    ).stdout
    if changes:
        subprocess.run(["git", "apply"], cwd=where, check=True, input=changes)
    return where


@dataclass(frozen=True)
class Stack:
    """A checkout, the project's name and where its ports are published."""

    directory: Path
    project: str = "edgelens-test"
    bind: str = "127.0.0.1"
    port: int = 25010
    http_port: int = 25011
    grpc_port: int = 25012
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{self.bind}:{self.port}"

    @property
    def http_url(self) -> str:
        return f"http://{self.bind}:{self.http_port}"

    @property
    def grpc_address(self) -> str:
        return f"{self.bind}:{self.grpc_port}"

    @property
    def env(self) -> dict[str, str]:
        return {
            "COMPOSE_PROJECT_NAME": self.project,
            "TAG": "test",
            "BIND": self.bind,
            "TRITON_BIND": self.bind,
            "PORT": str(self.port),
            "TRITON_HTTP_PORT": str(self.http_port),
            "TRITON_GRPC_PORT": str(self.grpc_port),
            **self.extra,
        }

    def compose(self, *arguments: str) -> str:
        return run("docker", "compose", *arguments, env=self.env, cwd=self.directory)

    def up(self, **scale: int) -> None:
        """Start, or change the number of replicas of what runs."""
        options = [word for name, n in scale.items() for word in ("--scale", f"{name}={n}")]
        self.compose("up", "--detach", *options)

    def remove(self) -> None:
        """Leave nothing of the project, its model included."""
        self.compose("down", "--volumes", "--timeout", "5", "--remove-orphans")

    def containers(self, service: str) -> list[str]:
        """Name the running containers of a service."""
        return sorted(self.compose("ps", "--format", "{{.Name}}", service).split())

    def wait_for_label(self, photo: bytes) -> requests.Response:
        """Ask until a picture is classified; the answer."""
        answers: list[requests.Response] = []

        def answered() -> bool:
            try:
                answers.append(
                    requests.post(f"{self.url}/v1/classify", photo, headers=JPEG, timeout=60)
                )
            except requests.ConnectionError:
                return False
            return answers[-1].status_code == 200

        wait_until(answered, "a picture is classified", START_LIMIT)
        return answers[-1]

    def balancer_metric(self, name: str) -> float:
        """Read one of the balancer's metrics; only its private network reaches them."""
        text = self._fetch("http://balancer:8404/metrics")
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, f"the balancer has no metric {name}"
        return float(found[1])

    def wait_for_replicas(self, number: int, backend: str = "triton_grpc") -> None:
        """Wait until the balancer has exactly so many replicas in service."""
        metric = f'haproxy_backend_active_servers{{proxy="{backend}"}}'

        def reached() -> bool:
            try:
                return self.balancer_metric(metric) == number
            except DockerError:  # the replica that was asked is on its way out
                return False

        wait_until(reached, f"{number} replicas of {backend} are in service", 120)

    def inferences(self) -> dict[str, float]:
        """Count the requests that each Triton replica has answered."""
        return {name: _requests_of(name) for name in self.containers("triton")}

    def _fetch(self, url: str) -> str:
        asker = next(
            name
            for name in self.containers("gateway")
            if docker("inspect", "--format", "{{.State.Paused}}", name) == "false"
        )
        return python_in(asker, FETCH, url)


def _requests_of(container: str) -> float:
    metrics = python_in(container, FETCH, "http://127.0.0.1:8002/metrics")
    lines = re.findall(r"^nv_inference_request_success\{[^}]*\} (\S+)$", metrics, re.MULTILINE)
    return sum(map(float, lines))


def kill_from_outside(container: str) -> None:
    """Kill -9 a container's first process behind the engine's back, so that it is restarted."""
    pid = docker("inspect", "--format", "{{.State.Pid}}", container)
    if os.geteuid() == 0 and Path(f"/proc/{pid}").exists():
        os.kill(int(pid), 9)
        return
    kill = ["run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "kill", "haproxy:2.6"]
    docker(*kill, "-9", pid)


def tool(name: str) -> str:
    """Name a program of the host that a test needs."""
    found = shutil.which(name)
    assert found, f"{name} is missing on this machine"
    return found
