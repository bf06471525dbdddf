"""A container after its engine has ended."""

import tempfile
from pathlib import Path

import pytest

from tests.compose.docker import docker
from tests.compose.offline_engine import OfflineEngine, offline_engine
from tests.places import HOME
from tests.waiting import wait_until

IMAGE = "haproxy:2.6"
COMPOSE = ("docker", "compose", "--project-name", "edgelens")


@pytest.mark.usefixtures("engine")
def test_the_balancer_comes_back_after_its_engine_was_killed(tmp_path: Path) -> None:
    """It needs no model; the others have the same policy, says test_stack.py."""
    docker("save", "--output", str(tmp_path / "image.tar"), IMAGE)
    with (
        tempfile.TemporaryDirectory(prefix="edgelens-", ignore_cleanup_errors=True) as place,
        offline_engine(Path(place)) as second,
    ):
        second.run("docker", "load", "--quiet", "--input", tmp_path / "image.tar")
        second.run(*COMPOSE, "up", "--detach", "--no-deps", "balancer", cwd=HOME)
        began = start_of(second)
        second.kill()
        wait_until(lambda: start_of(second) > began, "the balancer is started again", 60)
        second.run(*COMPOSE, "down", "--timeout", "5", cwd=HOME)


def start_of(engine: OfflineEngine) -> str:
    """Say when the running balancer was started; nothing, if it or its engine is away."""
    running = "{{if .State.Running}}{{.State.StartedAt}}{{end}}"
    return engine.ask("docker", "inspect", "--format", running, "edgelens-balancer-1")
