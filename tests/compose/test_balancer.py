"""What the balancer lets through to Triton: inference, metadata and health, in safe messages."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import tritonclient.grpc as triton_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from tests.compose.docker import DockerError, docker
from tests.compose.stack import Stack, address_of, is_healthy
from tests.lite import MODEL
from tests.memory import MEGABYTE
from tests.places import HOME
from tests.waiting import wait_until

LATE = 6.0  # seconds; longer than a call's first bytes may take
# The balancer's own message: the request has not reached Triton.
REFUSAL = b'{"error": "only inference, metadata and health are open here"}'
INFER = f"/v2/models/{MODEL}/infer"
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


@pytest.mark.parametrize("method, path", FORBIDDEN_PATHS)
def test_other_paths_of_triton_are_forbidden(stack: Stack, method: str, path: str):
    # Unlike `requests`, http.client sends the path as it is, dots and all.
    connection = http.client.HTTPConnection(stack.bind, stack.http_port, timeout=10)
    connection.request(method, path, b"{}" if method == "POST" else None)
    with closing(connection):
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (403, REFUSAL)


@pytest.mark.parametrize("name, request_message", FORBIDDEN_CALLS, ids=lambda value: str(value))
def test_other_calls_of_triton_are_denied(stack: Stack, name: str, request_message: object):
    with grpc.insecure_channel(stack.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refusal:
            getattr(stub, name)(request_message, timeout=10)
    assert refusal.value.code() == grpc.StatusCode.PERMISSION_DENIED


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


def test_http2_whose_bodies_have_no_length_does_not_reach_triton(stack: Stack):
    with socket.create_connection((stack.bind, stack.http_port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
        assert connection.recv(10) == b"HTTP/1.1 4"


@pytest.mark.parametrize("lengths", [("10000", "10"), ("10", "10000"), ("10000,10",)])
def test_one_short_length_of_json_does_not_let_a_long_one_pass(
    stack: Stack, lengths: tuple[str, ...]
):
    connection = http.client.HTTPConnection(stack.bind, stack.http_port, timeout=10)
    connection.putrequest("POST", f"/v2/models/{MODEL}/infer")
    for length in lengths:
        connection.putheader("Inference-Header-Content-Length", length)
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    with closing(connection):
        assert connection.getresponse().status == 413


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


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "JSON before binary data"])
@pytest.mark.parametrize(
    "shape",
    [
        b'"shape":[1099511627776]',
        b'"shape" :\n[1, 9999, 9999]',
        b'"sh\\u0061pe":[2305843009213693953]',
    ],
    ids=["beyond memory", "in parts", "hidden"],
)
def test_a_shape_larger_than_its_numbers_does_not_reach_triton(
    stack: Stack, shape: bytes, binary: bool
):
    body = b'{"inputs": [{"name": "image", "datatype": "FP64", %b, "data": [1, 2]}]}' % shape
    headers = {"Inference-Header-Content-Length": str(len(body))} if binary else {}
    url = f"{stack.http_url}/v2/models/{MODEL}/infer"
    answer = requests.post(url, body, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()) == (
        413,
        {"error": "send this tensor as binary data"},
    )


def test_a_tensor_of_numbers_in_json_is_answered(stack: Stack):
    image = {"name": "image", "datatype": "UINT8", "shape": [1, 224, 224, 3]}
    body = {"inputs": [image | {"data": [0] * 150_528}]}
    answer = requests.post(f"{stack.http_url}/v2/models/{MODEL}/infer", json=body, timeout=20)
    assert answer.json()["outputs"][0]["shape"] == [1, 1000]


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


@pytest.mark.parametrize(
    "options", [{"compression_algorithm": "gzip"}, {}], ids=["compressed", "too large"]
)
def test_messages_that_triton_reads_carelessly_do_not_reach_it(stack: Stack, options: dict):
    rows = 1 if options else 480
    # Compressible, or gRPC would send it as it is.
    noise = np.random.default_rng(0).integers(128, size=(224, 224, 3), dtype=np.uint8)
    entry = triton_grpc.InferInput("image", [rows, 224, 224, 3], "UINT8")
    entry.set_data_from_numpy(np.repeat(noise[np.newaxis], rows, axis=0))
    with (
        closing(triton_grpc.InferenceServerClient(stack.grpc_address)) as client,
        pytest.raises(InferenceServerException) as refusal,
    ):
        client.infer(MODEL, [entry], **options)
    # A client that still sends when it is refused sees the stream end instead of the message.
    said = refusal.value.message()
    assert "uncompressed, of no more than 64 MB" in said or (not options and "RST_STREAM" in said)


def test_a_request_that_comes_too_late_is_refused_in_the_shape_of_all_errors(stack: Stack):
    late = [
        begun_request(stack.bind, stack.port, "/predict"),
        begun_request(stack.bind, stack.http_port, INFER),
    ]
    with closing(late[0]), closing(late[1]):
        answers = [connection.getresponse() for connection in late]
        assert [answer.status for answer in answers] == [408, 408]
        predict, infer = map(json.load, answers)
    assert predict["error"]["code"] == "bad_request"
    assert predict["success"] is False
    assert isinstance(infer["error"], str)


def begun_request(host: str, port: int, path: str) -> http.client.HTTPConnection:
    """Send the head of a request, and nothing of its body."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    return connection


def test_a_client_that_watches_the_health_where_it_can_is_served(stack: Stack):
    """Triton has no Watch; these clients do without it, but only if it is UNIMPLEMENTED."""
    watching = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
    }
    options = [("grpc.service_config", json.dumps(watching))]
    with grpc.insecure_channel(stack.grpc_address, options=options) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = service_pb2.ServerLiveRequest()
        assert stub.ServerLive(call, wait_for_ready=True, timeout=10).live


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


def test_a_streams_first_message_may_come_late(stack: Stack):
    answers: list[object] = []
    with closing(triton_grpc.InferenceServerClient(stack.grpc_address)) as client:
        began = time.monotonic()
        client.start_stream(lambda result, error: answers.append(error or result))
        wait_until(lambda: time.monotonic() - began > LATE, "a camera has started", 30)
        client.async_stream_infer(MODEL, [tensor()])
        wait_for(answers, 1)
        client.stop_stream()
    assert isinstance(answers[0], triton_grpc.InferResult)


def tensor() -> triton_grpc.InferInput:
    entry = triton_grpc.InferInput("image", [1, 224, 224, 3], "UINT8")
    entry.set_data_from_numpy(np.full((1, 224, 224, 3), 128, np.uint8))
    return entry


def wait_for(answers: list[object], number: int) -> None:
    wait_until(lambda: len(answers) >= number, f"answer {number} of the stream", 30)


def configured(most_requests: int = 160) -> list[str]:
    """Return the options of `docker run` for a balancer on its own."""
    names = ("TRITON_NAME=triton", "GATEWAY_NAME=gateway", "TRITON_TIMEOUT=10s")
    names += ("GATEWAY_TIMEOUT=20s", "TRUSTED_PROXY=255.255.255.255")
    names += (f"BALANCER_REQUESTS={most_requests}",)
    configuration = f"{HOME}/deploy/haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"
    return ["--volume", configuration, *(word for name in names for word in ("--env", name))]


def test_a_balancer_that_would_refuse_every_request_says_so_and_does_not_start(engine: None):
    check = ("haproxy:2.6", "haproxy", "-c", "-f", "/usr/local/etc/haproxy/haproxy.cfg")
    docker("run", "--rm", *configured(1), *check)
    with pytest.raises(DockerError, match="BALANCER_REQUESTS=0 would refuse every request"):
        docker("run", "--rm", *configured(0), *check)


@pytest.fixture
def kubernetes_balancer(engine: None) -> Iterator[str]:
    """A balancer as it runs on Kubernetes, with nobody behind it."""
    options = [*configured(), "--env", "KUBERNETES_SERVICE_HOST=10.96.0.1"]
    container = docker("run", "--detach", *options, "haproxy:2.6").strip()
    try:
        yield container
    finally:
        docker("rm", "--force", container)


def test_on_kubernetes_a_stopping_balancer_answers_once_more_on_a_kept_connection(
    kubernetes_balancer: str,
):
    address = address_of(kubernetes_balancer)
    wait_until(lambda: listens(address), "the balancer listens", 30)
    with closing(http.client.HTTPConnection(address, 5000, timeout=10)) as kept:
        kept.request("GET", "/")
        kept.getresponse().read()
        docker("kill", "--signal", "USR1", kubernetes_balancer)
        wait_until(lambda: not listens(address), "the balancer stops listening", 30)
        kept.request("GET", "/")
        assert kept.getresponse().getheader("Connection") == "close"


def listens(address: str) -> bool:
    """Tell whether the balancer's port for people is open."""
    try:
        with socket.create_connection((address, 5000), timeout=5):
            return True
    except ConnectionRefusedError:
        return False


def test_the_balancer_answers_on_a_machine_with_many_cores(stack: Stack, tmp_path: Path):
    """HAProxy starts a thread for each core, at most 64."""
    (tmp_path / "cores.cfg").write_text("global\n    nbthread 64\n")
    name, cores = f"{stack.project}-many-cores", f"{tmp_path}/cores.cfg:/tmp/cores.cfg:ro"
    files = ("-f", "/usr/local/etc/haproxy/haproxy.cfg", "-f", "/tmp/cores.cfg")
    run = ("run", "--detach", "--no-deps", "--name", name, "--volume", cores)
    stack.compose(*run, "balancer", "haproxy", *files)
    try:
        wait_until(lambda: answers_healthz(name), "it answers", 30)
        wait_until(lambda: is_healthy(name), "the engine can ask it for its health", 30)
    finally:
        docker("rm", "--force", name)


def answers_healthz(container: str) -> bool:
    try:
        return requests.get(f"http://{address_of(container)}:8404/healthz", timeout=2).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
