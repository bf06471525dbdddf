"""A compose project of the tests' own: other ports, another name, another image tag."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.compose.docker import DockerError, docker, inspect, run
from tests.places import HOME
from tests.waiting import wait_until

JPEG = {"Content-Type": "image/jpeg"}
START_LIMIT = 240.0  # seconds; generous, and includes the export


def fresh_clone(where: Path) -> Path:
    """Clone the project, including uncommitted changes to tracked files."""
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
        """Start the stack, or change the number of replicas of a running one."""
        options = [word for name, n in scale.items() for word in ("--scale", f"{name}={n}")]
        self.compose("up", "--detach", *options)

    def remove(self) -> None:
        """Remove everything of the project, including its model."""
        self.compose("down", "--volumes", "--timeout", "5", "--remove-orphans")

    def containers(self, service: str) -> list[str]:
        """Name the running containers of a service."""
        return sorted(self.compose("ps", "--format", "{{.Name}}", service).split())

    def wait_for_label(self, photo: bytes) -> requests.Response:
        """Ask until a picture is classified; return the answer."""
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

    def balancer_metric(self, start: str) -> float:
        """Add up the balancer's metrics whose lines start like this."""
        (balancer,) = self.containers("balancer")
        return sum_metric(f"http://{address_of(balancer)}:8404/metrics", start)

    def wait_for_replicas(self, number: int, backend: str = "triton_grpc") -> None:
        """Wait until the balancer has exactly this many replicas in service."""
        metric = f'haproxy_backend_active_servers{{proxy="{backend}"}}'
        (balancer,) = self.containers("balancer")

        def reached() -> bool:
            try:
                url = f"http://{address_of(balancer)}:8404/metrics"
                return sum_metric(url, metric) == number
            except requests.ConnectionError:  # it is starting
                return False

        wait_until(reached, f"{number} replicas of {backend} are in service", 120)

    def losses(self) -> float:
        """Count how often the balancer has taken a replica out of service."""
        return self.balancer_metric('haproxy_server_check_up_down_total{proxy="triton_grpc"')

    def inferences(self) -> dict[str, float]:
        """Count the requests that each Triton replica has answered."""
        return {name: requests_of(name) for name in self.containers("triton")}


def address_of(container: str) -> str:
    """Return one of a container's addresses in its networks, which this machine reaches too."""
    networks = inspect(container)["NetworkSettings"]["Networks"].values()
    return next((network["IPAddress"] for network in networks if network["IPAddress"]), "0.0.0.0")


def requests_of(container: str) -> float:
    """Count the requests that a Triton replica has answered."""
    return sum_metric(
        f"http://{address_of(container)}:8002/metrics", "nv_inference_request_success{"
    )


def sum_metric(url: str, start: str) -> float:
    """Add up the metrics whose lines start like this."""
    text = requests.get(url, timeout=5).text
    found = re.findall(rf"^{re.escape(start)}.* (\S+)$", text, re.MULTILINE)
    assert found, f"{url} has no metric {start}"
    return sum(map(float, found))


def is_healthy(container: str) -> bool:
    """Tell whether the engine calls a container healthy."""
    return bool(inspect(container)["State"]["Health"]["Status"] == "healthy")


def kill_from_outside(container: str) -> None:
    """Kill -9 a container's first process behind the engine's back, so that it is restarted."""
    _signal("KILL", docker("inspect", "--format", "{{.State.Pid}}", container))


def freeze(container: str) -> None:
    """Stop all processes of a container.

    `docker pause` would do it too, but can hang for ever if a health check starts meanwhile.
    """
    _signal("STOP", *_pids(container))


def thaw(container: str) -> None:
    """Let the processes of a container go on."""
    _signal("CONT", *_pids(container))


def _pids(container: str) -> list[str]:
    return docker("top", container, "-eo", "pid").split()[1:]


def _signal(name: str, *pids: str) -> None:
    """Send a signal to processes of the host; one that has ended meanwhile is no loss."""
    if os.geteuid() == 0 and Path(f"/proc/{pids[0]}").exists():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.Signals[f"SIG{name}"])
        return
    kill = ["run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "kill", "haproxy:2.6"]
    with contextlib.suppress(DockerError):
        docker(*kill, f"-{name}", *pids)


def tool(name: str) -> str:
    """Return the path of a program of the host; fail if it is missing."""
    found = shutil.which(name)
    assert found, f"{name} is missing on this machine"
    return found
