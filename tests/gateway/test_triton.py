"""Triton's protocol and errors, against a gRPC server that stands in for it."""

import gc
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.deadline import ClientGone, Deadline
from gateway.errors import (
    DeadlineExceeded,
    EdgeLensError,
    InferenceFailed,
    ModelNotReady,
    Overloaded,
    TritonUnavailable,
    TritonUnreachable,
    UnknownModel,
)
from gateway.model import Model, model_from_config
from gateway.triton import RETRY_PAUSES, TritonClient, infer_request, read_answer, translate
from tests.gateway.stub import model_config
from tests.waiting import wait_until

LABEL = b"\x14\0\0\x000.75:1:n00000001 one"
TENSOR = np.arange(224 * 224 * 3, dtype=np.uint32).astype(np.uint8).reshape(224, 224, 3)


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answer the labels of each picture, after the failures and waiting that a test asks for."""

    def __init__(self) -> None:
        self.failures: list[tuple[grpc.StatusCode, str]] = []
        self.failed: set[int] = set()  # the pictures in the batches that the cache calls empty
        self.labels = [b"0.75:1:n00000001 one", b"0.25:2:n00000002 two"]  # of each picture
        self.requests: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.hold: threading.Event | None = None
        self.cancelled = threading.Event()

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        context.add_callback(self.cancelled.set)
        if self.failures:
            context.abort(*self.failures.pop(0))
        if self.hold:
            self.hold.wait(20)
        pictures = request.inputs[0].shape[0]
        if pictures in self.failed:
            return service_pb2.ModelInferResponse(model_name=request.model_name)
        labels = self.labels * pictures
        raw = b"".join(len(label).to_bytes(4, "little") + label for label in labels)
        response = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="3")
        response.raw_output_contents.append(raw)
        return response

    def ModelConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        if (request.name, request.version) != ("colours", "3"):
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown model {request.name}")
        return service_pb2.ModelConfigResponse(config=model_config("colours"))


@dataclass
class Standin:
    """The server, a client of it, and the pauses that the client would have made."""

    servicer: Servicer
    client: TritonClient
    pauses: list[float] = field(default_factory=list)


@pytest.fixture
def standin() -> Iterator[Standin]:
    servicer = Servicer()
    as_triton = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=as_triton)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    pauses: list[float] = []
    client = TritonClient(f"127.0.0.1:{port}", "http://127.0.0.1:9/metrics", pauses.append)
    yield Standin(servicer, client, pauses)
    if servicer.hold:
        servicer.hold.set()
    client.close()
    server.stop(0).wait(10)


@pytest.fixture
def model() -> Model:
    found = model_from_config(model_config("colours"), "3", {})
    assert found
    return found


def infer(standin: Standin, model: Model, deadline: Deadline | None = None) -> Any:
    return standin.client.infer(model, "", [TENSOR], 2, deadline or Deadline(10))


def test_a_batch_goes_as_one_request_and_comes_back_by_picture(
    standin: Standin, model: Model
) -> None:
    answer = standin.client.infer(model, "3", [TENSOR, TENSOR + 1], 2, Deadline(10))
    assert answer.version == "3"
    assert [[p.label for p in row] for row in answer.rows] == [["one", "two"]] * 2
    (request,) = standin.servicer.requests
    assert (request.model_name, request.model_version) == ("colours", "3")
    (tensor,), (output,) = request.inputs, request.outputs
    assert (tensor.name, tensor.datatype, output.name) == ("image", "UINT8", "probabilities")
    assert list(tensor.shape) == [2, 224, 224, 3]
    assert request.raw_input_contents[0] == TENSOR.tobytes() + (TENSOR + 1).tobytes()
    assert output.parameters["classification"].int64_param == 2


def test_a_failure_that_the_cache_repeats_is_asked_for_with_one_more_row(
    standin: Standin, model: Model
) -> None:
    standin.servicer.failed = {1}
    answer = infer(standin, model)
    assert [[p.label for p in row] for row in answer.rows] == [["one", "two"]]
    request = standin.servicer.requests[-1]
    assert request.raw_input_contents == [TENSOR.tobytes() * 2]


def test_a_failure_that_remains_is_triton_unavailable(standin: Standin, model: Model) -> None:
    most = model.max_batch_size
    standin.servicer.failed = {1, 2, most}
    for pictures in (1, most):
        with pytest.raises(TritonUnavailable):
            standin.client.infer(model, "", [TENSOR] * pictures, 2, Deadline(10))
    assert [r.inputs[0].shape[0] for r in standin.servicer.requests] == [1, 2, most]


def test_only_a_first_attempt_is_spared_the_balancers_own_retries(
    standin: Standin, model: Model
) -> None:
    """They find the replica that has a model which others lack."""
    standin.servicer.failures = [(grpc.StatusCode.NOT_FOUND, "unknown model")]
    infer(standin, model)
    standin.client.config("colours", "3")
    spared = ["x-edgelens-retries" in metadata for metadata in standin.servicer.metadata]
    assert spared == [True, False, False]


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([], TritonUnavailable),
        ([b""], InferenceFailed),
        ([LABEL * 3], InferenceFailed),
        ([LABEL * 2 + b"\5\0"], InferenceFailed),
        ([LABEL + LABEL[:-1]], InferenceFailed),
    ],
    ids=["nothing", "no labels", "too few labels", "half a length", "half a label"],
)
def test_an_answer_that_is_not_whole_is_refused(
    outputs: list[bytes], expected: type[EdgeLensError]
) -> None:
    response = service_pb2.ModelInferResponse(model_name="colours", raw_output_contents=outputs)
    with pytest.raises(expected) as refusal:
        read_answer(response, 2)
    assert "colours" in refusal.value.for_log()


def test_an_answer_that_is_no_probability_concerns_its_own_picture_alone() -> None:
    texts = [b"0.9:0:one", b"-nan:0:one", b"0.8:1:two"]
    raw = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    rows = read_answer(service_pb2.ModelInferResponse(raw_output_contents=[raw]), 3).rows
    assert [type(row) for row in rows] == [list, InferenceFailed, list]


def test_a_full_batch_of_large_pictures_can_be_sent(standin: Standin, model: Model) -> None:
    large = np.zeros((1200, 1200, 3), np.uint8)
    assert standin.client.infer(model, "", [large] * 16, 2, Deadline(60)).version == "3"


def test_all_labels_of_a_full_batch_can_be_received(standin: Standin, model: Model) -> None:
    standin.servicer.labels *= 150_000  # gRPC takes 4 MB unless it is told otherwise
    (row,) = infer(standin, model).rows
    assert len(row) == 300_000


def test_the_proxy_of_the_environment_is_not_for_triton(
    standin: Standin, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "grpc_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    standin.client.reconnect(cut=True)
    assert infer(standin, model).version == "3"


def test_a_model_without_batching_gets_no_batch_dimension() -> None:
    config = model_config("colours")
    config.max_batch_size = 0
    model = model_from_config(config, "1", {})
    assert model
    assert list(infer_request(model, "", [TENSOR], 1).inputs[0].shape) == [224, 224, 3]


def test_pixels_are_sent_in_order_however_they_lie_in_memory(model: Model) -> None:
    mirrored, columns = TENSOR[:, ::-1], np.asfortranarray(TENSOR)
    assert not mirrored.flags.c_contiguous and not columns.flags.c_contiguous
    request = infer_request(model, "", [mirrored, TENSOR, columns], 1)
    expected = mirrored.tobytes() + TENSOR.tobytes() + columns.tobytes()
    assert request.raw_input_contents[0] == expected


def test_no_more_labels_are_asked_for_than_there_are(standin: Standin, model: Model) -> None:
    standin.client.infer(model, "", [TENSOR], 5000, Deadline(10))
    assert standin.servicer.requests[0].outputs[0].parameters["classification"].int64_param == 1000


CASES: list[tuple[grpc.StatusCode, str, type[EdgeLensError]]] = [
    (grpc.StatusCode.UNAVAILABLE, "http2 header with status: 503", TritonUnavailable),
    (grpc.StatusCode.UNAVAILABLE, "'m' version 1 is not at ready state", ModelNotReady),
    (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size", Overloaded),
    (grpc.StatusCode.UNAVAILABLE, "Request timeout expired", DeadlineExceeded),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "", Overloaded),
    (grpc.StatusCode.INTERNAL, "Failed to increase the shared memory pool size", Overloaded),
    (grpc.StatusCode.DEADLINE_EXCEEDED, "", DeadlineExceeded),
    (grpc.StatusCode.NOT_FOUND, "Request for unknown model", UnknownModel),
    (grpc.StatusCode.CANCELLED, "", TritonUnavailable),
    (grpc.StatusCode.INTERNAL, "Stub process 'x' is not healthy.", TritonUnavailable),
    (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2", TritonUnavailable),
    (grpc.StatusCode.UNKNOWN, "Stub process 'x' is not healthy.", TritonUnavailable),
    (grpc.StatusCode.INTERNAL, "batch size 224 for 'm', max allowed is 16", TritonUnavailable),
    (grpc.StatusCode.INTERNAL, "division by zero", InferenceFailed),
    (grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape", InferenceFailed),
    (grpc.StatusCode.INVALID_ARGUMENT, "batch size 17, max allowed is 16", InferenceFailed),
]


class Failure(grpc.RpcError):
    """What gRPC raises."""

    def __init__(self, code: grpc.StatusCode, details: str | None) -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details


@pytest.mark.parametrize(("code", "details", "expected"), CASES)
def test_each_grpc_error_has_its_translation(
    code: grpc.StatusCode, details: str, expected: type[EdgeLensError]
) -> None:
    error = translate(Failure(code, details), "vgg16")
    assert type(error) is expected
    assert not details or details not in error.message
    if expected is not UnknownModel:  # which a client has misspelt
        assert error.for_log() == f"{error.message} vgg16: {details!r}"


def test_the_log_says_what_helps_when_shared_memory_is_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    translate(Failure(grpc.StatusCode.INTERNAL, "Failed to increase the shared memory pool size"))
    assert "make room in /dev/shm" in caplog.text


def test_a_failed_inference_is_left_for_who_asked_to_log(
    standin: Standin, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    """A probe fails twice a second, but is told once."""
    standin.servicer.failures = [(grpc.StatusCode.INTERNAL, "no memory")]
    with pytest.raises(InferenceFailed) as failure:
        infer(standin, model)
    assert failure.value.for_log().endswith("colours: 'no memory'")
    assert not caplog.messages


def test_what_triton_said_of_a_failure_is_for_the_log_on_one_line() -> None:
    said = "no memory in /opt/models\nTraceback" + "." * 1000
    error = translate(Failure(grpc.StatusCode.INTERNAL, said), "vgg16")
    assert error.message == "Triton refused this inference (INTERNAL)."
    start = f"{error.message} vgg16: 'no memory in /opt/models\\nTraceback."
    assert error.for_log().startswith(start)
    assert len(error.for_log()) < 400


@pytest.mark.parametrize("code", [c for c in grpc.StatusCode if c is not grpc.StatusCode.OK])
def test_no_grpc_error_is_left_without_a_translation(code: grpc.StatusCode) -> None:
    assert translate(Failure(code, None)).status in (404, 502, 503, 504)


def test_triton_that_comes_back_in_time_loses_nothing(standin: Standin, model: Model) -> None:
    standin.servicer.failures = [(grpc.StatusCode.UNAVAILABLE, "starting")] * len(RETRY_PAUSES)
    assert infer(standin, model).version == "3"
    assert standin.pauses == list(RETRY_PAUSES)


def test_triton_that_is_known_to_be_away_is_asked_only_once(standin: Standin, model: Model) -> None:
    attempts = len(RETRY_PAUSES) + 1
    standin.servicer.failures = [(grpc.StatusCode.UNAVAILABLE, "starting")] * (attempts + 1)
    for _ in range(2):
        with pytest.raises(TritonUnavailable):
            infer(standin, model)
    assert standin.pauses == list(RETRY_PAUSES)
    assert infer(standin, model).version == "3"
    standin.servicer.failures = [(grpc.StatusCode.UNAVAILABLE, "starting")]
    assert infer(standin, model).version == "3"


def test_a_model_that_one_replica_reloads_is_asked_for_again(
    standin: Standin, model: Model
) -> None:
    standin.servicer.failures = [(grpc.StatusCode.NOT_FOUND, "unknown model")]
    assert infer(standin, model).version == "3"
    assert standin.pauses == [RETRY_PAUSES[0]]


def test_a_version_that_is_not_loaded_does_not_count_as_triton_away(
    standin: Standin, model: Model
) -> None:
    attempts = len(RETRY_PAUSES) + 1
    unready = (grpc.StatusCode.UNAVAILABLE, "'m' version 1 is not at ready state")
    standin.servicer.failures = [unready] * attempts
    with pytest.raises(ModelNotReady):
        infer(standin, model)
    standin.servicer.failures = [unready]
    assert infer(standin, model).version == "3"  # it was worth a second attempt


def test_other_errors_are_not_retried(standin: Standin, model: Model) -> None:
    standin.servicer.failures = [(grpc.StatusCode.INVALID_ARGUMENT, "bad")]
    with pytest.raises(InferenceFailed):
        infer(standin, model)
    assert standin.pauses == []


def test_there_is_no_retry_past_the_deadline(standin: Standin, model: Model) -> None:
    standin.servicer.failures = [(grpc.StatusCode.UNAVAILABLE, "starting")] * 3
    deadline = Deadline(60)
    left = RETRY_PAUSES[0] - 0.01
    deadline.remaining = lambda: left if standin.servicer.requests else 60
    with pytest.raises(TritonUnavailable):
        infer(standin, model, deadline)
    assert standin.pauses == []


def test_triton_is_told_in_microseconds_how_long_a_request_may_wait(
    standin: Standin, model: Model
) -> None:
    deadline = Deadline(60)
    deadline.remaining = lambda: 2.5
    infer(standin, model, deadline)
    assert standin.servicer.requests[0].parameters["timeout"].int64_param == 2_500_000


def test_an_inference_is_given_up_at_the_deadline(standin: Standin, model: Model) -> None:
    standin.servicer.hold = threading.Event()
    with pytest.raises(DeadlineExceeded, match="Triton did not answer in time") as failure:
        infer(standin, model, Deadline(0.1))
    assert " colours: '" in failure.value.for_log()


def test_nothing_is_sent_that_nobody_waits_for(standin: Standin, model: Model) -> None:
    with pytest.raises(DeadlineExceeded, match="No answer within") as failure:
        infer(standin, model, Deadline(-1))
    assert failure.value.for_log().endswith(" colours: the time was up before Triton was asked.")
    deadline = Deadline(60)
    deadline.client_gone = lambda: True
    with pytest.raises(ClientGone):
        infer(standin, model, deadline)
    assert standin.servicer.requests == []


def test_an_inference_whose_client_hangs_up_is_not_cancelled(
    standin: Standin, model: Model
) -> None:
    standin.servicer.hold = threading.Event()
    deadline = Deadline(60)
    deadline.client_gone = lambda: bool(standin.servicer.requests)
    with futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(infer, standin, model, deadline)
        wait_until(lambda: standin.servicer.requests, "it is asked", 10)
        assert not standin.servicer.cancelled.wait(1)
        standin.servicer.hold.set()
        assert asked.result(10).version == "3"


def test_a_call_under_way_may_still_be_answered_over_the_old_connection(
    standin: Standin, model: Model
) -> None:
    standin.servicer.hold = threading.Event()
    with futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(infer, standin, model, Deadline(60))
        wait_until(lambda: standin.servicer.requests, "it is asked", 10)
        standin.client.reconnect(cut=False)
        gc.collect()
        assert not standin.servicer.cancelled.wait(1)
        standin.servicer.hold.set()
        assert asked.result(20).version == "3"
    assert len(standin.servicer.requests) == 1


def test_a_new_connection_answers_where_the_old_one_hangs(standin: Standin, model: Model) -> None:
    standin.servicer.hold = threading.Event()
    with futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(infer, standin, model, Deadline(60))
        wait_until(lambda: standin.servicer.requests, "it is asked", 10)
        standin.client.reconnect(cut=True)
        wait_until(lambda: len(standin.servicer.requests) == 2, "it is asked again", 10)
        standin.servicer.hold.set()
        assert asked.result(20).version == "3"
    assert infer(standin, model).version == "3"


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_nobody_listening_is_triton_unreachable(model: Model, host: str) -> None:
    client = TritonClient(f"{host}:9", f"http://{host}:9/metrics", lambda _: None)
    for call in (
        lambda: client.infer(model, "", [TENSOR], 1, Deadline(5)),
        lambda: client.config("colours", ""),
    ):
        with pytest.raises(TritonUnreachable):
            call()
    with pytest.raises(TritonUnavailable):
        client.loaded()
    client.close()
    with pytest.raises(TritonUnavailable, match="shutting down"):
        client.infer(model, "", [TENSOR], 1, Deadline(5))


def test_a_configuration_is_fetched_and_an_unknown_model_named(standin: Standin) -> None:
    assert standin.client.config("colours", "3").max_batch_size == 4
    for name, version in (("nothing", "3"), ("colours", "4")):
        with pytest.raises(UnknownModel):
            standin.client.config(name, version)
