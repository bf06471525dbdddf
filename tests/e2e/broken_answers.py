"""Sends broken requests to a Triton, or to a balancer in front of it; says how each ended."""

import http.client
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import quote

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor

from tests.e2e.broken_requests import BROKEN, GRPC_ONLY, HTTP_ONLY, Case, cases

CLIENTS = 8
UNPARSEABLE = ("failed to parse the request JSON buffer", "Unable to parse", "Unable to set")
ENDS = {
    400: "refused",
    404: "unknown",
    grpc.StatusCode.INVALID_ARGUMENT: "refused",
    grpc.StatusCode.NOT_FOUND: "unknown",
}


class Endpoints(NamedTuple):
    """The host and ports of Triton's two protocols."""

    host: str
    http_port: int
    grpc_port: int


def ask_all(
    triton: Endpoints, protocol: str, seed: int, tensors: dict[str, bytes]
) -> list[tuple[Case, str, str]]:
    """Send one protocol's cases from several clients at once."""
    makers = BROKEN + (HTTP_ONLY if protocol == "HTTP" else GRPC_ONLY)
    made = list(cases(seed, makers, tensors))
    channel = grpc.insecure_channel(f"{triton.host}:{triton.grpc_port}")
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

    def ask(case: Case) -> tuple[Case, str, str]:
        asked = ask_http(triton, case) if protocol == "HTTP" else ask_grpc(stub, case)
        return case, *asked

    with channel, ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(ask, made))


def ask_http(triton: Endpoints, case: Case) -> tuple[str, str]:
    """Return the outcome, a word or a status, and the server's message or the best label."""
    envelope = envelope_of(case) if case.envelope is None else case.envelope
    content = b"" if case.region else case.content
    version = f"/versions/{quote(case.version, safe='')}" if case.version else ""
    path = f"/v2/models/{quote(case.model, safe='')}{version}/infer"
    length = str(len(envelope)) if case.header is None else case.header
    headers = {"Inference-Header-Content-Length": length}
    connection = http.client.HTTPConnection(triton.host, triton.http_port, timeout=60)
    try:
        connection.request("POST", path, envelope + content, headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    if response.status == 200:
        output = json.loads(text)["outputs"][0]
        values = output["data"]
        return verdict(case, spelled(values) if output["datatype"] == "FP32" else values[0])
    if response.status == 500 and any(words in text for words in UNPARSEABLE):
        return "unparseable", text
    return ENDS.get(response.status, f"HTTP {response.status}"), text


def envelope_of(case: Case) -> bytes:
    size = len(case.content) if case.claimed is None else case.claimed
    where = {"binary_data_size": size}
    if case.region:
        where = {"shared_memory_region": case.region, "shared_memory_byte_size": size}
    image = {"name": case.name, "datatype": case.datatype, "shape": case.shape, "parameters": where}
    wanted = {"name": case.output, "parameters": {"classification": case.classes}}
    return json.dumps({"inputs": [image], "outputs": [wanted]}).encode()


def ask_grpc(stub: "service_pb2_grpc.GRPCInferenceServiceStub", case: Case) -> tuple[str, str]:
    request = service_pb2.ModelInferRequest(model_name=case.model, model_version=case.version)
    image = request.inputs.add(name=case.name, datatype=case.datatype, shape=case.shape)
    wanted = request.outputs.add(name=case.output)
    wanted.parameters["classification"].int64_param = min(case.classes, (1 << 63) - 1)
    if case.region:
        image.parameters["shared_memory_region"].string_param = case.region
        image.parameters["shared_memory_byte_size"].int64_param = len(case.content)
    else:
        request.raw_input_contents.extend([case.content] * case.contents)
    try:
        response = stub.ModelInfer(request, timeout=60)
    except grpc.RpcError as error:
        return ENDS.get(error.code(), str(error.code())), error.details()
    (raw,) = response.raw_output_contents
    if response.outputs[0].datatype == "FP32":
        return verdict(case, spelled(np.frombuffer(raw, np.float32)))
    best = deserialize_bytes_tensor(raw)
    return verdict(case, best[0].decode("utf-8", "replace")) if len(best) else ("empty", "")


def spelled(probabilities: Sequence[float]) -> str:
    """Format an answer without classification like one with it, except for the label."""
    best = int(np.argmax(probabilities))
    return f"{probabilities[best]}:{best}:"


def verdict(case: Case, best: str) -> tuple[str, str]:
    """Judge an answer: a request that makes sense must get the right label."""
    if case.right is None:
        return "answered", best
    return ("right" if case.right.wnid in best else "wrong label"), best
