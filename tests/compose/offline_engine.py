"""A second Docker engine in a network namespace that holds nothing but loopback."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving.processes import finish
from tests.compose.docker import DockerError, run
from tests.compose.stack import tool
from tests.waiting import wait_until

# An engine that was killed is started again, as systemd does it.
START = """
set -e
ip link set lo up
trap 'again=false; kill $engine' TERM
again=true
while $again; do
    dockerd --config-file {0}/daemon.json --data-root {0}/data --exec-root {0}/exec \
        --pidfile {0}/docker.pid --host unix://{0}/docker.sock &
    engine=$!
    wait $engine || true
done
wait
"""


@dataclass(frozen=True)
class OfflineEngine:
    """Where the engine keeps its files, its socket for docker, and its parent in its namespace."""

    place: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    def ask(self, *command: str) -> str:
        """Run a docker command; say nothing while the engine does not answer."""
        try:
            return run(*command, env=self.env)
        except DockerError:
            return ""

    def kill(self) -> None:
        """Kill the engine itself; its containers and a new engine outlive it."""
        os.kill(int((self.place / "docker.pid").read_text()), signal.SIGKILL)

    def run(self, *command: str | Path, cwd: Path | None = None) -> str:
        """Run a command inside the namespace, with the engine's own DOCKER_HOST."""
        enter = ("nsenter", "--target", str(self.process.pid), "--net")
        return run(*enter, *command, env=self.env, cwd=cwd)


@contextmanager
def offline_engine(place: Path) -> Iterator[OfflineEngine]:
    """Run the engine in `place` (short: socket paths have a limit), then remove it and its data."""
    (place / "daemon.json").write_text("{}")
    command = [tool("unshare"), "--net", "--mount", "bash", "-c", START.format(place)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    engine = OfflineEngine(place, {"DOCKER_HOST": f"unix://{place}/docker.sock"}, process)

    def answers() -> bool:
        assert process.poll() is None, (place / "log").read_text()[-2000:]
        return bool(engine.ask("docker", "version"))

    try:
        wait_until(answers, "the second engine answers", 60)
        yield engine
    finally:
        process.terminate()
        finish(process, 60)
        run("rm", "-rf", "--one-file-system", place)
