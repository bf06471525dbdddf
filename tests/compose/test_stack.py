"""What `docker compose up -d` gives: labels, closed doors, even shares, bounded memory."""

import http.client
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import tritonclient.grpc as triton_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from tests.compose.docker import DockerError, docker, inspect, python_in
from tests.compose.stack import JPEG, Stack, is_healthy
from tests.photos import Photo
from tests.waiting import wait_until

MODEL = "efficientnet_lite0"
REQUESTS = 300
FIRST_CALLS = 90
# Each holds 750 KB, and there are more of them than the balancer takes in at a time.
BURST, PICTURES, CHANNELS = 300, 5, 10
REFUSAL = b'{"error": "only inference, metadata and health are open here"}'
KEYS = "python -m gateway.keys --file /keys/api-keys"
# Asks for the models, with the key that is the argument, and prints the status.
ASK_WITH_KEY = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 5000, timeout=10)
connection.request("GET", "/v1/models", headers={"X-API-Key": sys.argv[1]})
print(connection.getresponse().status)
"""
MEGABYTE = 1 << 20
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
    # A port published on every address answers on the other one too, so ask the engine as well.
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
        answer = connection.getresponse()
        # The balancer's own message: the request has not reached Triton.
        assert (answer.status, answer.read()) == (403, REFUSAL)


@pytest.mark.parametrize(
    "header, value, status",
    [
        ("Transfer-Encoding", "chunked", 411),
        ("Content-Length", str(65 * MEGABYTE), 413),
        ("Content-Length", str(3000 * MEGABYTE), 413),  # over 31 bits
        ("Content-Encoding", "gzip", 415),
        ("Content-Length", "1000001", 413),  # JSON
        ("Inference-Header-Content-Length", "10000", 413),
    ],
)
def test_bodies_that_triton_reads_carelessly_do_not_reach_it(
    stack: Stack, header: str, value: str, status: int
):
    connection = http.client.HTTPConnection(stack.bind, stack.http_port, timeout=10)
    connection.putrequest("POST", f"/v2/models/{MODEL}/infer")
    connection.putheader(header, value)
    connection.endheaders()
    with closing(connection):
        assert connection.getresponse().status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"inputs":' + b"[" * 900_000, 400),
        (b'{"parameters": {' + b'"a": 1,' * 2000 + b'"b": 1}}', 400),
    ],
    ids=["deep", "many members"],
)
def test_json_that_would_harm_triton_does_not(stack: Stack, body: bytes, status: int):
    before = stack.losses()
    answer = requests.post(f"{stack.http_url}/v2/models/{MODEL}/infer", body, timeout=60)
    assert answer.status_code == status
    assert requests.get(f"{stack.http_url}/v2/models/{MODEL}/ready", timeout=10).status_code == 200
    assert stack.losses() == before


@pytest.mark.parametrize(
    "options", [{"compression_algorithm": "gzip"}, {}], ids=["compressed", "too large"]
)
def test_messages_that_triton_reads_carelessly_do_not_reach_it(stack: Stack, options: dict):
    rows = 1 if options else 480
    entry = triton_grpc.InferInput("image", [rows, 224, 224, 3], "UINT8")
    entry.set_data_from_numpy(np.zeros((rows, 224, 224, 3), np.uint8))
    with (
        closing(triton_grpc.InferenceServerClient(stack.grpc_address)) as client,
        pytest.raises(InferenceServerException) as refusal,
    ):
        client.infer(MODEL, [entry], **options)
    # A client that still sends when it is refused sees the stream end instead of the message.
    said = refusal.value.message()
    assert "uncompressed, of no more than 64 MB" in said or (not options and "RST_STREAM" in said)


@pytest.mark.parametrize(
    "body, error",
    [
        (b'{"inputs"', "parse the request JSON"),
        (b'{"inputs": 7}', "Unable to parse"),
        (
            b'{"inputs": [{"name": "i", "datatype": "UINT8", "shape": [-1], "data": [1]}]}',
            "Unable to parse",
        ),
    ],
    ids=["cut", "of another type", "negative"],
)
def test_json_that_triton_cannot_read_is_the_clients_mistake(stack: Stack, body: bytes, error: str):
    answer = requests.post(f"{stack.http_url}/v2/models/{MODEL}/infer", body, timeout=20)
    assert answer.status_code == 400
    assert error in answer.json()["error"]


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


def test_what_triton_refuses_is_told_to_grpc_clients_as_it_said_it(stack: Stack):
    wrong = triton_grpc.InferInput("image", [1, 100, 224, 3], "UINT8")
    wrong.set_data_from_numpy(np.zeros((1, 100, 224, 3), np.uint8))
    with closing(triton_grpc.InferenceServerClient(stack.grpc_address)) as client:
        for call, status, said in (
            (lambda: client.infer(MODEL, [wrong]), "INVALID_ARGUMENT", "[1,100,224,3]"),
            (lambda: client.infer("nothing", [tensor()]), "NOT_FOUND", "unknown model"),
            (lambda: client.get_model_config("nothing"), "NOT_FOUND", "unknown model"),
        ):
            with pytest.raises(InferenceServerException) as refusal:
                call()
            assert refusal.value.status() == f"StatusCode.{status}"
            assert said in refusal.value.message()


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
    container = stack.containers(service)[0]
    wait_until(lambda: is_healthy(container), "the engine calls it healthy", 60)
    state = inspect(container)
    host = state["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert "/tmp" in host["Tmpfs"]
    assert state["Config"]["User"] not in ("", "root", "0")
    assert state["Config"]["StopTimeout"] >= 5


def test_triton_has_the_shared_memory_that_its_backends_need(stack: Stack):
    assert inspect(stack.containers("triton")[0])["HostConfig"]["ShmSize"] == 256 * MEGABYTE


@pytest.mark.parametrize("service, most", [("triton", 800), ("gateway", 500)])
def test_images_are_small_and_check_their_own_health(stack: Stack, service: str, most: int):
    image = inspect(inspect(stack.containers(service)[0])["Image"])
    assert image["Size"] < most * 1e6
    assert image["Config"]["Healthcheck"]["Test"]


@pytest.mark.parametrize("service", ["triton", "gateway"])
def test_no_image_that_serves_holds_tensorflow(stack: Stack, service: str):
    find = "import importlib.util as u; print(u.find_spec('tensorflow'), u.find_spec('keras'))"
    container = stack.containers(service)[0]
    assert docker("exec", container, "python", "-c", find) == "None None"


def test_a_revoked_key_is_refused_at_once(stack: Stack, tmp_path: Path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(0o777)  # written by the container's user
    with_keys = replace(stack, extra={**stack.extra, "API_KEYS_DIR": str(tmp_path / "keys")})
    run_gateway = ("run", "--no-deps", "--no-TTY")
    change = (*run_gateway, "--rm", "--volume", f"{tmp_path}/keys:/keys", "gateway", *KEYS.split())
    alice = with_keys.compose(*change, "add", "alice").splitlines()[-1]
    bob = with_keys.compose(*change, "add", "bob").splitlines()[-1]
    name = f"{stack.project}-keys"
    with_keys.compose(*run_gateway, "--detach", "--name", name, "gateway")
    try:
        wait_until(lambda: status_with_key(name, alice) == "200", "the key is accepted", 60)
        with_keys.compose(*change, "revoke", "alice")
        assert [status_with_key(name, key) for key in (alice, bob, "")] == ["401", "200", "401"]
    finally:
        docker("rm", "--force", name)


def test_prometheus_understands_its_configuration_and_rules(stack: Stack):
    config = json.loads(stack.compose("--profile", "metrics", "config", "--format", "json"))
    prometheus = config["services"]["prometheus"]
    here = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "prom/prometheus").split()
    files = [f"--volume={v['source']}:{v['target']}:ro" for v in prometheus["volumes"]]
    run = ["run", "--rm", "--network=none", "--entrypoint=promtool", *files]
    image = here[0] if here else prometheus["image"]
    said = docker(*run, image, "check", "config", "/etc/prometheus/prometheus.yml")
    assert "8 rules found" in said


def test_every_replica_gets_its_share_of_the_gateways_requests(scaled: Stack, hammer: Photo):
    before = scaled.inferences()
    with ThreadPoolExecutor(8) as clients:
        codes = list(clients.map(lambda _: classify(scaled, hammer), range(REQUESTS)))
    assert codes == [200] * REQUESTS
    assert_even(before, scaled.inferences(), REQUESTS)


def test_every_replica_gets_its_share_of_one_grpc_channels_calls(scaled: Stack):
    before = scaled.inferences()
    client = triton_grpc.InferenceServerClient(scaled.grpc_address)
    for _ in range(REQUESTS):
        client.infer(MODEL, [tensor()])
    client.close()
    assert_even(before, scaled.inferences(), REQUESTS)


def test_every_replica_gets_its_share_of_the_first_calls(scaled: Stack):
    before = scaled.inferences()
    docker("restart", *scaled.containers("balancer"))
    with grpc.insecure_channel(scaled.grpc_address) as channel:
        infer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        wait_until(lambda: answers(infer), "the balancer has a replica", 60)
        for _ in range(FIRST_CALLS):
            infer(request(), timeout=60)
    assert_even(before, scaled.inferences(), FIRST_CALLS)


def test_a_burst_does_not_cost_the_balancer_its_life(scaled: Stack):
    (balancer,) = scaled.containers("balancer")
    before = inspect(balancer)["State"]["StartedAt"]
    alone = [("grpc.use_local_subchannel_pool", 1)]  # a connection for each channel
    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(scaled.grpc_address, alone))
            for _ in range(CHANNELS)
        ]
        stubs = [service_pb2_grpc.GRPCInferenceServiceStub(channel) for channel in channels]
        calls = [
            stubs[number % CHANNELS].ModelInfer.future(request(PICTURES), timeout=120)
            for number in range(BURST)
        ]
        codes = Counter(call.code().name for call in calls)
        assert stubs[0].ModelInfer(request(), timeout=60).raw_output_contents
    print(codes)
    assert codes["OK"] >= BURST / 2
    assert set(codes) <= {"OK", "UNAVAILABLE", "CANCELLED"}
    assert inspect(balancer)["State"]["StartedAt"] == before


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


def status_with_key(container: str, key: str) -> str:
    try:
        return python_in(container, ASK_WITH_KEY, key)
    except DockerError:  # it is starting
        return ""


def tensor() -> triton_grpc.InferInput:
    entry = triton_grpc.InferInput("image", [1, 224, 224, 3], "UINT8")
    entry.set_data_from_numpy(np.full((1, 224, 224, 3), 128, np.uint8))
    return entry


def answers(infer: Callable[..., object]) -> bool:
    try:
        infer(request(), timeout=60, wait_for_ready=True)
    except grpc.RpcError:  # a connection, but no replica yet
        return False
    return True


def request(pictures: int = 1) -> service_pb2.ModelInferRequest:
    """Return a whole call; with tritonclient, the clients would share one connection."""
    message = service_pb2.ModelInferRequest(model_name=MODEL)
    message.inputs.add(name="image", datatype="UINT8", shape=[pictures, 224, 224, 3])
    message.raw_input_contents.append(bytes(pictures * 224 * 224 * 3))
    return message


def assert_even(before: dict[str, float], after: dict[str, float], least: int) -> None:
    shares = {name: after[name] - before[name] for name in after}
    total = sum(shares.values())
    assert total >= least
    assert all(0.20 <= share / total <= 0.47 for share in shares.values()), shares


def wait_for(answers: list[object], number: int) -> None:
    wait_until(lambda: len(answers) >= number, f"answer {number} of the stream", 30)
