"""Under steady load, replicas are killed, stopped, frozen and scaled: no client may notice.

Triton's response cache is off: every request needs a living model.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from tests.compose.docker import docker, inspect, python_in, run
from tests.compose.load import (
    ALL,
    GATEWAY,
    GRPC,
    HTTP,
    LARGE,
    MANY,
    Load,
    gateway_client,
    grpc_client,
    http_client,
    large_client,
    many_client,
)
from tests.compose.stack import Stack, freeze, is_healthy, kill_from_outside, thaw
from tests.lite import MODEL
from tests.photos import Photo
from tests.places import HOME
from tests.waiting import wait_until

CLIENTS = 8
FROZEN = 12.0  # seconds; longer than the balancer waits for an answer
LACKING = 8.0  # seconds; the gateways ask several times meanwhile what is loaded
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
# Loads or unloads the model in a container; prints the status of the answer.
REPOSITORY = f"""
import http.client, pathlib, sys
key = pathlib.Path("/tmp/run/admin-key").read_text()
triton = http.client.HTTPConnection("127.0.0.1", 8000)
path = "/v2/repository/models/{MODEL}/" + sys.argv[1]
triton.request("POST", path, "{{}}", {{"X-EdgeLens-Admin": key}})
print(triton.getresponse().status)
"""
READINESS = """
import http.client
launcher = http.client.HTTPConnection("127.0.0.1", 8003)
launcher.request("GET", "/readyz")
print(launcher.getresponse().read().decode())
"""


@pytest.fixture(scope="module")
def load(scaled: Stack, pictures: list[Photo]) -> Iterator[Load]:
    """Eight clients of the gateways, and one of each other kind."""
    panda = next(photo for photo in pictures if photo.label == "giant panda")
    body, entry = tensor()
    load = Load()
    try:
        for number in range(CLIENTS):
            load.add(GATEWAY, gateway_client(scaled, pictures, number))
        load.add(LARGE, large_client(scaled, panda))
        load.add(MANY, many_client(scaled, pictures[:8]))
        load.add(HTTP, http_client(scaled, MODEL, body))
        load.add(GRPC, grpc_client(scaled, MODEL, [entry]))
        yield load
    finally:
        load.stop()


def test_nothing_is_lost_when_a_replica_is_killed(scaled: Stack, load: Load):
    began, losses = time.monotonic(), scaled.losses()
    victim = scaled.containers("triton")[0]
    restarts = inspect(victim)["RestartCount"]
    kill_from_outside(victim)
    wait_until(lambda: inspect(victim)["RestartCount"] > restarts, "the engine restarts it", 60)
    expect_return(scaled, victim, losses)
    load.expect_none_lost(began)


def test_nothing_is_lost_when_a_replica_is_stopped(scaled: Stack, load: Load):
    began, losses = time.monotonic(), scaled.losses()
    victim = scaled.containers("triton")[1]
    docker("stop", victim)
    scaled.wait_for_replicas(2)
    docker("start", victim)
    expect_return(scaled, victim, losses)
    load.expect_none_lost(began)


def test_nothing_is_lost_when_triton_is_scaled_in_and_out(scaled: Stack, load: Load):
    began = time.monotonic()
    scaled.up(triton=1, gateway=2)
    scaled.wait_for_replicas(1)
    scaled.up(triton=3, gateway=2)
    scaled.wait_for_replicas(3)
    load.expect_none_lost(began)


def test_nothing_is_lost_when_the_process_behind_a_model_is_killed(scaled: Stack, load: Load):
    began, losses = time.monotonic(), scaled.losses()
    victim = scaled.containers("triton")[2]
    killed = set(python_in(victim, STUBS, "9").split())
    assert killed, "no stub was found"
    wait_until(lambda: set(stubs_of(victim)) - killed, "the launcher brings it back", 60)
    expect_return(scaled, victim, losses)
    load.expect_none_lost(began)


def test_nothing_is_lost_while_one_of_the_replicas_lacks_the_model(scaled: Stack, load: Load):
    """As after a restart of its Triton during which the model's process died."""
    began, losses = time.monotonic(), scaled.losses()
    victim = scaled.containers("triton")[1]
    assert python_in(victim, REPOSITORY, "unload") == "200"
    try:
        wait_until(lambda: f'"{MODEL}"' not in python_in(victim, READINESS), "it is noticed", 60)
        docker("exec", victim, "sh", "-c", "kill -9 $(pidof tritonserver)")
        expect_return(scaled, victim, losses)
        back = time.monotonic()
        wait_until(lambda: time.monotonic() - back > LACKING, "all have met that replica", 60)
        scaled.wait_for_replicas(3)
    finally:
        assert python_in(victim, REPOSITORY, "load") == "200"
    load.expect_none_lost(began)


def test_nothing_is_lost_when_a_replica_freezes(scaled: Stack, load: Load):
    began, losses = time.monotonic(), scaled.losses()
    victim = scaled.containers("triton")[0]
    freeze(victim)
    try:
        scaled.wait_for_replicas(2)
        wait_until(lambda: time.monotonic() - began > FROZEN, "its requests are taken away", 60)
    finally:
        thaw(victim)
    # The engine notices later than the balancer, and Compose relies on the engine.
    expect_return(scaled, victim, losses)
    load.expect_none_lost(began)


@pytest.mark.parametrize(
    "restart, kinds",
    [
        ("restart", ALL),
        # A request larger than the balancer's buffer is lost with the gateway that had it.
        ("kill", (GATEWAY, HTTP, GRPC, MANY)),
    ],
    ids=["restart", "kill"],
)
def test_nothing_is_lost_when_one_of_two_gateways_restarts(
    scaled: Stack, load: Load, restart: str, kinds: tuple[str, ...]
):
    began = time.monotonic()
    victim = scaled.containers("gateway")[0]
    restarts: dict[str, Callable[[], object]] = {
        "restart": lambda: docker("restart", victim),
        "kill": lambda: kill_from_outside(victim),
    }
    before = inspect(victim)["State"]["StartedAt"]
    restarts[restart]()
    wait_until(lambda: inspect(victim)["State"]["StartedAt"] != before, "it starts again", 60)
    wait_until(lambda: is_healthy(victim), "the engine calls it healthy", 120)
    scaled.wait_for_replicas(2, "gateway")
    load.expect_none_lost(began, kinds)


def test_nothing_is_lost_when_everything_is_replaced_as_documented(scaled: Stack, load: Load):
    """With other settings of Triton and of the gateway."""
    settings = {"TRITON_REPLICAS": "3", "GATEWAY_REPLICAS": "2", "MAX_PIXELS": "40000000"}
    changed = replace(scaled, extra={**scaled.extra, **settings, "TRITON_CACHE_BYTES": "1048576"})
    began, old = time.monotonic(), replicas_of(scaled)
    run("bash", "-c", documented("for service in"), env=changed.env, cwd=changed.directory)
    new = replicas_of(changed)
    assert len(new) == 5 and not new & old
    changed.up()
    assert replicas_of(changed) == new, "they have the new settings"
    load.expect_none_lost(began)


def replicas_of(stack: Stack) -> set[str]:
    return set(stack.compose("ps", "--quiet", "triton", "gateway").split())


def documented(start: str) -> str:
    """Return the commands in deploy/README.md that begin like this."""
    after = (HOME / "deploy" / "README.md").read_text("utf-8").partition(f"    {start}")[2]
    return start + after.partition("\n\n")[0]


def expect_return(stack: Stack, replica: str, losses: float) -> None:
    """Wait until a replica serves again; meanwhile, the balancer must have taken it out."""
    wait_until(lambda: stack.losses() > losses, "the balancer takes it out of service", 60)
    stack.wait_for_replicas(3)
    wait_until(lambda: is_healthy(replica), "the engine calls it healthy", 120)
    stack.wait_for_replicas(3)


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
