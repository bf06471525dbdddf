"""Docker Swarm: rolling updates lose nothing, and an update that never gets healthy is undone."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.docker import DockerError, docker, run
from tests.compose.load import GATEWAY, Load, gateway_client
from tests.compose.stack import Stack
from tests.photos import Photo
from tests.waiting import wait_until

NAME = "edgelens-test-swarm"
TRITON = f"{NAME}_triton"
GOOD, BAD = "edgelens-inference:test-good", "edgelens-inference:test-bad"
SETTINGS = {"UPDATE_MONITOR": "5s", "GATEWAY_REPLICAS": "1"}
# A replica may take minutes to start on a busy machine; one that never starts need not take them.
IMPATIENT = ("--health-start-period", "2s", "--health-retries", "2", "--health-interval", "1s")
BRIDGE = "docker_gwbridge"  # what joining a swarm adds to an engine
# Runs, but no model will ever infer.
NEVER_READY = 'FROM {}\nCMD ["sleep", "1000000"]\n'
LIMIT = 240.0  # seconds


@pytest.fixture(scope="module")
def swarm(images: tuple[str, ...], clone: Path) -> Iterator[Stack]:
    """The stack on a swarm of one node, which is left afterwards."""
    if docker("info", "--format", "{{.Swarm.LocalNodeState}}") != "inactive":
        pytest.fail("this engine is in a swarm already; leave it to run this test", pytrace=False)
    bridges = docker("network", "ls", "--quiet", "--filter", f"name={BRIDGE}")
    docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    stack = Stack(clone, NAME, port=25000, http_port=25001, grpc_port=25002, extra=SETTINGS)
    try:
        deploy = ["stack", "deploy", "--detach=true", "--resolve-image", "never"]
        run("docker", *deploy, "-c", "deploy/swarm.yml", NAME, env=stack.env, cwd=stack.directory)
        yield stack
    finally:
        leave_swarm()
        if not bridges:
            # The engine releases it shortly after it has left.
            wait_until(lambda: succeeds("network", "rm", BRIDGE), "the swarm's bridge is gone", 60)


@pytest.fixture(scope="module")
def updates(images: tuple[str, ...]) -> Iterator[None]:
    """Two updates of the inference image: one that works, and one that never gets ready."""
    docker("tag", images[0], GOOD)
    build = f"printf '{NEVER_READY.format(images[0])}' | docker build --quiet -t {BAD} -"
    run("bash", "-c", build.replace("\n", "\\n"))
    yield
    docker("image", "rm", "--force", GOOD, BAD)


@pytest.fixture(scope="module")
def load(swarm: Stack, pictures: list[Photo]) -> Iterator[Load]:
    swarm.wait_for_label(pictures[0].data)
    wait_until(lambda: running(TRITON) == 2, "two replicas run", LIMIT)
    load = Load()
    for number in range(4):
        load.add(GATEWAY, gateway_client(swarm, pictures, number))
    yield load
    load.stop()


def test_a_rolling_update_loses_nothing(updates: None, load: Load):
    began = time.monotonic()
    assert update(GOOD) == "completed"
    assert images_of(TRITON) == {GOOD}
    load.expect_none_lost(began)


def test_an_update_that_never_gets_healthy_is_rolled_back_without_loss(updates: None, load: Load):
    began = time.monotonic()
    before = images_of(TRITON)
    assert update(BAD, *IMPATIENT) == "rollback_completed"
    assert images_of(TRITON) == before
    load.expect_none_lost(began)


def update(image: str, *options: str) -> str:
    """Update Triton's image; return how it ended."""
    update = ("service", "update", "--detach", "--no-resolve-image", "--image", image)
    docker(*update, *options, TRITON)
    ends = ("completed", "rollback_completed", "paused", "rollback_paused")
    wait_until(lambda: update_state() in ends, "the update has ended", LIMIT)
    return update_state()


def update_state() -> str:
    state = "{{with .UpdateStatus}}{{.State}}{{end}}"  # there is none before it begins
    return docker("service", "inspect", TRITON, "--format", state)


def running(service: str) -> int:
    return len(tasks(service))


def images_of(service: str) -> set[str]:
    return {task["Image"] for task in tasks(service)}


def tasks(service: str) -> list[dict[str, str]]:
    options = ["--no-trunc", "--filter", "desired-state=running", "--format", "json"]
    lines = docker("service", "ps", service, *options).splitlines()
    found = [json.loads(line) for line in lines]
    return [task for task in found if task["CurrentState"].startswith("Running")]


def leave_swarm() -> None:
    """Remove the stack and all that belongs to it, then the swarm."""
    mine = ["--filter", f"label=com.docker.stack.namespace={NAME}"]
    docker("stack", "rm", NAME)
    wait_until(lambda: not docker("ps", "--all", "--quiet", *mine), "its containers end", 120)
    docker("swarm", "leave", "--force")

    def volumes_are_gone() -> bool:
        for name in docker("volume", "ls", "--quiet", *mine).split():
            succeeds("volume", "rm", name)
        return not docker("volume", "ls", "--quiet", *mine)

    wait_until(volumes_are_gone, "its volume is removed", 60)


def succeeds(*arguments: str) -> bool:
    try:
        docker(*arguments)
    except DockerError:
        return False
    return True
