"""Triton over one shared gRPC channel; the only module that knows its protocol and its errors."""

import logging
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor

from gateway.deadline import Deadline
from gateway.errors import (
    MEGABYTE,
    DeadlineExceeded,
    EdgeLensError,
    InferenceFailed,
    ModelNotReady,
    Overloaded,
    TritonUnavailable,
    TritonUnreachable,
    UnknownModel,
)
from gateway.labels import Prediction, parse_classification
from gateway.model import Model
from gateway.scrape import Loaded, scrape

logger = logging.getLogger(__name__)
# Seconds; together longer than a balancer needs to take a broken replica out of service.
RETRY_PAUSES = (0.1, 0.3, 0.6, 1.0)
# Spares a first attempt the balancer's own retries, a millisecond: see deploy/haproxy.cfg.
# They find what only some replicas have: a configuration is asked for once, and must not seem gone.
RETRIES = (("x-edgelens-retries", "1"),)
CONFIG_TIMEOUT = 2.0  # seconds
CHANNEL_OPTIONS = (
    # An HTTP proxy in the environment is for the internet, never for Triton beside us.
    ("grpc.enable_http_proxy", 0),
    # A new channel shares no connection with the one that it replaces.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", 64 * MEGABYTE),
)
LONGEST_DETAILS = 300  # characters
BROKE_OFF = "The model broke off this inference; try again."
Tensor = NDArray[np.uint8]
Metadata = Sequence[tuple[str, str]]
Row = list[Prediction] | InferenceFailed  # a picture's labels, or why there are none


@dataclass(frozen=True)
class Answer:
    """What one inference gave: the version that answered, and a row for each picture."""

    version: str
    rows: list[Row]


class InferenceClient(Protocol):
    """What the gateway needs from Triton."""

    def infer(
        self, model: Model, version: str, tensors: Sequence[Tensor], top_k: int, deadline: Deadline
    ) -> Answer:
        """Classify one batch of UINT8 [H,W,3] tensors."""

    def config(self, name: str, version: str) -> Any:
        """Return Triton's ModelConfig of a loaded version."""

    def loaded(self) -> Loaded:
        """Return which models and versions are loaded."""

    def reconnect(self, *, cut: bool) -> None:
        """Replace the connection by a new one; `cut` fails the calls that are under way."""

    def close(self) -> None:
        """Close the connection."""


class TritonClient:
    """The inference client that every thread shares; gRPC channels are thread-safe."""

    def __init__(
        self, url: str, metrics_url: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._url, self._metrics_url = url, metrics_url
        self._connect()
        self._sleep = sleep
        self._down = False

    def _connect(self) -> None:
        self._channel = grpc.insecure_channel(self._url, options=CHANNEL_OPTIONS)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._infer = stub.ModelInfer
        self._config = stub.ModelConfig

    def reconnect(self, *, cut: bool) -> None:
        """Replace a connection whose other end may have vanished or moved.

        `cut` fails the calls under way. Without it, a Triton that is ending can still answer them.

        Keep-alive pings do not notice that it vanished with grpcio 1.85: a minute of them had no
        effect. For a new address, a channel asks at most every 30 s.
        """
        old = self._channel
        self._connect()
        if cut:
            old.close()

    def infer(
        self, model: Model, version: str, tensors: Sequence[Tensor], top_k: int, deadline: Deadline
    ) -> Answer:
        """Classify one batch; retry while Triton is away and time is left.

        Raises the matching EdgeLensError, or ClientGone if the client hung up before it began.
        """

        def ask(batch: Sequence[Tensor]) -> Any:
            request = infer_request(model, version, batch, min(top_k, model.classes))
            return self._call_with_retries(request, deadline)

        pictures, response = len(tensors), ask(tensors)
        if not response.raw_output_contents and pictures < model.max_batch_size:
            # Triton's cache repeats every failure as an empty answer, until it restarts. It knows
            # nothing of a batch with one more row.
            tensors = [*tensors, tensors[-1]]
            response = ask(tensors)
        answer = read_answer(response, len(tensors))
        return Answer(answer.version, answer.rows[:pictures])

    def config(self, name: str, version: str) -> Any:
        """Return Triton's ModelConfig of a loaded version; raises the matching EdgeLensError."""
        request = service_pb2.ModelConfigRequest(name=name, version=version)
        return _ask(self._config, name, request, CONFIG_TIMEOUT).config

    def loaded(self) -> Loaded:
        """Return which models and versions are loaded; raises TritonUnavailable."""
        return scrape(self._metrics_url)

    def close(self) -> None:
        """Close the channel; calls under way fail."""
        self._channel.close()

    def _call(self, request: Any, deadline: Deadline, metadata: Metadata = ()) -> Any:
        """Run one inference to its end, even if the client hangs up meanwhile.

        A cancelled call can crash Triton 24.10 (its issue 7368, fixed later).
        """
        deadline.check(f"{request.model_name}: the time was up before Triton was asked.")
        # A queue policy may drop a request that has waited this long in Triton. A request past
        # gRPC's own deadline is dropped anyway, before inference.
        request.parameters["timeout"].int64_param = int(deadline.remaining() * 1e6)
        return _ask(self._infer, request.model_name, request, deadline.remaining(), metadata)

    def _call_with_retries(self, request: Any, deadline: Deadline) -> Any:
        metadata: Metadata = RETRIES
        # While Triton is known to be away, the first failure is the answer: nobody waits for it.
        for pause in () if self._down else RETRY_PAUSES:
            try:
                return self._call(request, deadline, metadata)
            except (TritonUnavailable, UnknownModel):
                # The catalog knows the model: one replica may be reloading it while others have it.
                if deadline.remaining() <= pause:
                    raise
                self._sleep(pause)
                metadata = ()
        try:
            response = self._call(request, deadline, metadata)
        except TritonUnavailable as error:
            self._down = not isinstance(error, ModelNotReady)
            raise
        self._down = False
        return response


def _ask(
    call: Callable[..., Any], model: str, request: Any, timeout: float, metadata: Metadata = ()
) -> Any:
    """Make one gRPC call of `timeout` seconds at most; raises the matching EdgeLensError."""
    try:
        return call(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as exc:
        raise translate(exc, model) from exc
    except ValueError as exc:  # what gRPC raises for a call on a closed channel
        raise TritonUnavailable("The gateway is shutting down; try again.") from exc


def infer_request(model: Model, version: str, tensors: Sequence[Tensor], top_k: int) -> Any:
    """Build the request without tritonclient's InferInput, which copies more and checks again."""
    request = service_pb2.ModelInferRequest(model_name=model.name, model_version=version)
    batch = [len(tensors)] if model.max_batch_size else []
    request.inputs.add(name=model.input_name, datatype="UINT8", shape=[*batch, *tensors[0].shape])
    output = request.outputs.add(name=model.output_name)
    output.parameters["classification"].int64_param = top_k
    # Joined as buffers: `tobytes` would copy every picture once more.
    request.raw_input_contents.append(b"".join(np.ascontiguousarray(t).data for t in tensors))
    return request


def read_answer(response: Any, pictures: int) -> Answer:
    """Read the classification strings of a response, the same number for every picture."""
    name = response.model_name
    if not response.raw_output_contents:
        raise TritonUnavailable(BROKE_OFF, said=f"{name}: an empty answer.")
    try:
        texts = deserialize_bytes_tensor(response.raw_output_contents[0])
    except (struct.error, ValueError):
        raise InferenceFailed("Triton's answer cannot be read.", said=f"It is {name}'s.") from None
    if not len(texts) or len(texts) % pictures:
        wrong = "Triton's answer does not match the number of pictures sent."
        raise InferenceFailed(wrong, said=f"{name}: {len(texts)} labels for {pictures}.")
    each = len(texts) // pictures
    rows = [_row(texts[at : at + each]) for at in range(0, len(texts), each)]
    return Answer(response.model_version, rows)


def _row(texts: Sequence[bytes]) -> Row:
    """Read what was answered for one picture; what is wrong with it concerns no other."""
    try:
        return [parse_classification(text.decode("utf-8", "replace")) for text in texts]
    except InferenceFailed as error:
        return error


def translate(exc: grpc.RpcError, model: str = "") -> EdgeLensError:
    """Turn any gRPC error into ours. Triton's own text may name paths: only the log gets it."""
    code, details = exc.code(), (exc.details() or "").lower()
    said = f"{model}: {exc.details()!r:.{LONGEST_DETAILS}}"
    if full := _what_is_full(code, details):
        return Overloaded(f"Triton's {full} is full; try again shortly.", said=said)
    if code == grpc.StatusCode.DEADLINE_EXCEEDED or "timeout expired" in details:
        return DeadlineExceeded("Triton did not answer in time; try again later.", said=said)
    if code == grpc.StatusCode.NOT_FOUND:
        return UnknownModel("No such model, or no such version of it, is loaded.")
    # A replica or a balancer that ends cuts off its streams.
    cut_off = code == grpc.StatusCode.INTERNAL and "rst_stream" in details
    if cut_off or code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return _absence(details, said)
    # The process died, or another program sent an empty batch: Triton 24.10 counts that by its
    # height, and fails all requests that it has batched with it.
    passing = "stub" in details or "max allowed is" in details
    if passing and code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
        return TritonUnavailable(BROKE_OFF, said=said)
    return InferenceFailed(f"Triton refused this inference ({code.name}).", said=said)


def _what_is_full(code: grpc.StatusCode, details: str) -> str:
    """Name what has no room for a request, "" if that is not the problem."""
    if "shared memory pool" in details:
        logger.error("Triton's shared memory is full: make room in /dev/shm on its machine")
        return "shared memory"
    crowded = code == grpc.StatusCode.RESOURCE_EXHAUSTED or "maximum queue size" in details
    return "queue" if crowded else ""


def _absence(details: str, said: str) -> TritonUnavailable:
    """Distinguish a Triton that has not loaded the version, one that is away, and no connection."""
    if "not at ready state" in details:
        return ModelNotReady("This model is being loaded; try again shortly.", said=said)
    unreachable = "failed to connect" in details or "errors resolving" in details
    kind = TritonUnreachable if unreachable else TritonUnavailable
    return kind("Triton cannot be reached or is starting; try again shortly.", said=said)
