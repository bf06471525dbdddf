"""Under steady load, replicas are killed, stopped, frozen and scaled: no client may notice."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from tests.compose.docker import docker, inspect, python_in
from tests.compose.load import GATEWAY, HTTP, Load, gateway_client, grpc_client, http_client
from tests.compose.stack import Stack, kill_from_outside
from tests.photos import Photo
from tests.waiting import wait_until

MODEL = "efficientnet_lite0"
CLIENTS = 8
FROZEN = 12.0  # seconds; longer than the balancer waits for an answer
# Prints the processes that run the model in a container, and sends them a signal if told to.
STUBS = """
import os, pathlib, sys
for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    command = entry.read_bytes()
    if b"triton_python_backend_stub\\0" in command and b"/efficientnet_lite0/" in command:
        print(entry.parent.name)
        for number in sys.argv[1:]:
            os.kill(int(entry.parent.name), int(number))
"""


@pytest.fixture(scope="module")
def load(stack: Stack, pictures: list[Photo]) -> Iterator[Load]:
    """Eight clients of the gateways, and one each of Triton's HTTP and gRPC endpoints."""
    stack.wait_for_label(pictures[0].data)
    stack.up(triton=3, gateway=2)
    stack.wait_for_replicas(3)
    stack.wait_for_replicas(2, "gateway")
    body, entry = tensor()
    load = Load()
    try:
        for number in range(CLIENTS):
            load.add(GATEWAY, gateway_client(stack, pictures, number))
        load.add(HTTP, http_client(stack, MODEL, body))
        load.add("Triton over gRPC", grpc_client(stack, MODEL, [entry]))
        yield load
    finally:
        load.stop()
        stack.up()


def test_nothing_is_lost_when_a_replica_is_killed(stack: Stack, load: Load):
    began = time.monotonic()
    victim = stack.containers("triton")[0]
    kill_from_outside(victim)
    wait_until(lambda: inspect(victim)["RestartCount"] > 0, "the engine restarts it", 60)
    stack.wait_for_replicas(3)
    load.expect_none_lost(began)


def test_nothing_is_lost_when_a_replica_is_stopped(stack: Stack, load: Load):
    began = time.monotonic()
    victim = stack.containers("triton")[1]
    docker("stop", victim)
    stack.wait_for_replicas(2)
    docker("start", victim)
    stack.wait_for_replicas(3)
    load.expect_none_lost(began)


def test_nothing_is_lost_when_triton_is_scaled_in_and_out(stack: Stack, load: Load):
    began = time.monotonic()
    stack.up(triton=1, gateway=2)
    stack.wait_for_replicas(1)
    stack.up(triton=3, gateway=2)
    stack.wait_for_replicas(3)
    load.expect_none_lost(began)


def test_nothing_is_lost_when_the_process_behind_a_model_is_killed(stack: Stack, load: Load):
    """Triton reports it as a gRPC error in a good HTTP answer: a bare gRPC client must retry."""
    began = time.monotonic()
    victim = stack.containers("triton")[2]
    killed = set(python_in(victim, STUBS, "9").split())
    assert killed, "no stub was found"
    wait_until(lambda: set(stubs_of(victim)) - killed, "the launcher brings it back", 60)
    stack.wait_for_replicas(3)
    load.expect_none_lost(began, (GATEWAY, HTTP))


def test_nothing_is_lost_when_a_replica_freezes(stack: Stack, load: Load):
    began = time.monotonic()
    victim = stack.containers("triton")[0]
    docker("pause", victim)
    try:
        stack.wait_for_replicas(2)
        wait_until(lambda: time.monotonic() - began > FROZEN, "its requests are taken away", 60)
    finally:
        docker("unpause", victim)
    stack.wait_for_replicas(3)
    # The engine notices later than the balancer, and Compose goes by the engine.
    wait_until(lambda: is_healthy(victim), "the engine calls it healthy", 120)
    load.expect_none_lost(began)


@pytest.mark.parametrize("restart", ["restart", "kill"])
def test_nothing_is_lost_when_one_of_two_gateways_restarts(stack: Stack, load: Load, restart: str):
    began = time.monotonic()
    victim = stack.containers("gateway")[0]
    restarts: dict[str, Callable[[], object]] = {
        "restart": lambda: docker("restart", victim),
        "kill": lambda: kill_from_outside(victim),
    }
    before = inspect(victim)["State"]["StartedAt"]
    restarts[restart]()
    wait_until(lambda: inspect(victim)["State"]["StartedAt"] != before, "it starts again", 60)
    stack.wait_for_replicas(2, "gateway")
    load.expect_none_lost(began)


def is_healthy(container: str) -> bool:
    return bool(inspect(container)["State"]["Health"]["Status"] == "healthy")


def stubs_of(container: str) -> list[str]:
    return python_in(container, STUBS).split()


def tensor() -> tuple[bytes, triton_grpc.InferInput]:
    """Return one grey picture as an HTTP body and as a gRPC input."""
    pixels = np.full((1, 224, 224, 3), 128, np.uint8)
    entry = triton_grpc.InferInput("image", list(pixels.shape), "UINT8")
    entry.set_data_from_numpy(pixels)
    numbers = ",".join(["128"] * pixels.size)
    body = (
        '{"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 224, 224, 3],'
        f' "data": [{numbers}]}}]}}'
    )
    return body.encode(), entry
