"""What `docker compose up -d` gives: labels, closed doors, even shares, nothing left behind."""

import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import numpy as np
import pytest
import requests
import tritonclient.grpc as triton_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.compose.docker import docker, inspect
from tests.compose.stack import JPEG, Stack
from tests.photos import Photo
from tests.waiting import wait_until

MODEL = "efficientnet_lite0"
REQUESTS = 300
FORBIDDEN_PATHS = (
    ("POST", "/v2/repository/index"),
    ("POST", f"/v2/repository/models/{MODEL}/unload"),
    ("POST", f"/v2/repository/models/{MODEL}/load"),
    ("GET", "/v2/systemsharedmemory/status"),
    ("POST", "/v2/systemsharedmemory/region/x/register"),
    ("GET", "/v2/cudasharedmemory/status"),
    ("GET", "/v2/trace/setting"),
    ("POST", "/v2/trace/setting"),
    ("GET", "/v2/logging"),
    ("POST", "/v2/logging"),
    ("GET", "/v2/models/stats"),
    ("GET", f"/v2/models/{MODEL}/stats"),
    ("GET", f"/v2/models/{MODEL}/trace/setting"),
    ("POST", "/v2//repository/index"),
    ("POST", f"/v2/models/{MODEL}/../../repository/index"),
    ("POST", f"/v2/models/{MODEL}%2F..%2F..%2Frepository/index"),
    ("GET", "/metrics"),
    ("DELETE", "/v2"),
)
FORBIDDEN_CALLS = (
    ("RepositoryIndex", service_pb2.RepositoryIndexRequest()),
    ("RepositoryModelUnload", service_pb2.RepositoryModelUnloadRequest(model_name=MODEL)),
    ("RepositoryModelLoad", service_pb2.RepositoryModelLoadRequest(model_name=MODEL)),
    ("SystemSharedMemoryStatus", service_pb2.SystemSharedMemoryStatusRequest()),
    ("CudaSharedMemoryStatus", service_pb2.CudaSharedMemoryStatusRequest()),
    ("TraceSetting", service_pb2.TraceSettingRequest()),
    ("LogSettings", service_pb2.LogSettingsRequest()),
    ("ModelStatistics", service_pb2.ModelStatisticsRequest(name=MODEL)),
)


@pytest.fixture(scope="module")
def replicas(stack: Stack, hammer: Photo) -> Iterator[list[str]]:
    """Three Triton replicas in service."""
    stack.wait_for_label(hammer.data)
    stack.up(triton=3)
    stack.wait_for_replicas(3)
    yield stack.containers("triton")
    stack.up(triton=1)
    stack.wait_for_replicas(1)


def test_a_fresh_clone_names_a_photo_after_compose_up_alone(stack: Stack, hammer: Photo):
    answer = stack.wait_for_label(hammer.data).json()
    best = answer["results"][0]["predictions"][0]
    assert (best["wnid"], best["label"]) == (hammer.wnid, "hammer")
    assert answer["weights"] == "imagenet"
    page = requests.get(stack.url, timeout=10)
    assert page.status_code == 200
    assert "text/html" in page.headers["Content-Type"]


def test_only_the_published_ports_are_open(stack: Stack, hammer: Photo):
    """Whatever answers on the stack's own loopback address but not on another one is ours."""
    stack.wait_for_label(hammer.data)
    ours = set(open_ports(stack.bind)) - set(open_ports("127.0.0.78"))
    published = {stack.port, stack.http_port, stack.grpc_port}
    assert ours == published
    # What is published on every address answers on the other one too: ask the engine as well.
    containers = map(json.loads, stack.compose("ps", "--format", "json").splitlines())
    doors = [door for container in containers for door in container["Publishers"] or ()]
    assert {(d["URL"], d["PublishedPort"]) for d in doors if d["PublishedPort"]} == {
        (stack.bind, port) for port in published
    }


def test_nothing_is_published_beyond_loopback_unless_asked(stack: Stack):
    config = json.loads(stack.compose("config", "--format", "json"))
    assert [name for name, s in config["services"].items() if "ports" in s] == ["balancer"]
    default = Stack(stack.directory)
    environment = dict.fromkeys(("BIND", "TRITON_BIND"), "")
    default.extra.update(environment)
    published = json.loads(default.compose("config", "--format", "json"))
    ports = published["services"]["balancer"]["ports"]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


@pytest.mark.parametrize("method, path", FORBIDDEN_PATHS)
def test_other_paths_of_triton_are_forbidden(stack: Stack, method: str, path: str):
    # Unlike `requests`, http.client sends the path as it is, dots and all.
    connection = http.client.HTTPConnection(stack.bind, stack.http_port, timeout=10)
    connection.request(method, path, b"{}" if method == "POST" else None)
    with closing(connection):
        assert connection.getresponse().status == 403


@pytest.mark.parametrize("name, request_message", FORBIDDEN_CALLS, ids=lambda value: str(value))
def test_other_calls_of_triton_are_denied(stack: Stack, name: str, request_message: object):
    with grpc.insecure_channel(stack.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refusal:
            getattr(stub, name)(request_message, timeout=10)
    assert refusal.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_other_programs_can_ask_for_health_metadata_and_inference(stack: Stack):
    for path in (
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        f"/v2/models/{MODEL}",
        f"/v2/models/{MODEL}/config",
    ):
        assert requests.get(stack.http_url + path, timeout=10).status_code == 200
    client = triton_grpc.InferenceServerClient(stack.grpc_address)
    assert client.is_server_ready()
    assert client.get_model_metadata(MODEL).name == MODEL
    assert client.infer(MODEL, [tensor()]).as_numpy("probabilities").shape == (1, 1000)
    client.close()


def test_streams_are_answered_message_by_message(stack: Stack):
    answers: list[object] = []
    client = triton_grpc.InferenceServerClient(stack.grpc_address)
    client.start_stream(lambda result, error: answers.append(error or result))
    client.async_stream_infer(MODEL, [tensor()])
    wait_for(answers, 1)
    client.async_stream_infer(MODEL, [tensor()])
    wait_for(answers, 2)
    client.stop_stream()
    client.close()
    assert all(isinstance(answer, triton_grpc.InferResult) for answer in answers)


@pytest.mark.parametrize("service", ["triton", "balancer", "gateway"])
def test_containers_hold_no_privilege(stack: Stack, service: str):
    state = inspect(stack.containers(service)[0])
    host = state["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert state["Config"]["User"] not in ("", "root", "0")


def test_every_replica_gets_its_share_of_the_gateways_requests(
    stack: Stack, replicas: list[str], hammer: Photo
):
    before = stack.inferences()
    with ThreadPoolExecutor(8) as clients:
        codes = list(clients.map(lambda _: classify(stack, hammer), range(REQUESTS)))
    assert codes == [200] * REQUESTS
    assert_even(before, stack.inferences())


def test_every_replica_gets_its_share_of_one_grpc_channels_calls(stack: Stack, replicas: list[str]):
    before = stack.inferences()
    client = triton_grpc.InferenceServerClient(stack.grpc_address)
    for _ in range(REQUESTS):
        client.infer(MODEL, [tensor()])
    client.close()
    assert_even(before, stack.inferences())


def test_down_leaves_only_the_model_and_up_serves_again(stack: Stack, hammer: Photo):
    stack.compose("down", "--timeout", "10")
    mine = f"label=com.docker.compose.project={stack.project}"
    assert docker("ps", "--all", "--quiet", "--filter", mine) == ""
    assert docker("network", "ls", "--quiet", "--filter", mine) == ""
    volumes = docker("volume", "ls", "--quiet", "--filter", mine).split()
    assert volumes == [f"{stack.project}_models"]
    stack.up()
    best = stack.wait_for_label(hammer.data).json()["results"][0]["predictions"][0]
    assert best["wnid"] == hammer.wnid


def open_ports(address: str) -> Iterator[int]:
    """Connect to every TCP port."""
    for port in range(1, 65536):
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((address, port)) == 0:
                yield port


def classify(stack: Stack, photo: Photo) -> int:
    url = f"{stack.url}/v1/classify"
    return requests.post(url, photo.data, headers=JPEG, timeout=60).status_code


def tensor() -> triton_grpc.InferInput:
    entry = triton_grpc.InferInput("image", [1, 224, 224, 3], "UINT8")
    entry.set_data_from_numpy(np.full((1, 224, 224, 3), 128, np.uint8))
    return entry


def assert_even(before: dict[str, float], after: dict[str, float]) -> None:
    shares = {name: after[name] - before[name] for name in after}
    total = sum(shares.values())
    assert total >= REQUESTS
    assert all(0.20 <= share / total <= 0.47 for share in shares.values()), shares


def wait_for(answers: list[object], number: int) -> None:
    wait_until(lambda: len(answers) >= number, f"answer {number} of the stream", 30)
