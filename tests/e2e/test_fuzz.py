"""Thousands of broken requests to Triton's own endpoints: each is refused, and nothing dies.

A request that makes sense gets the right answer. All others get a 400 or INVALID_ARGUMENT; an
unknown model, version or shared memory region gets a 404 or NOT_FOUND. Triton 24.10's HTTP front
end has one answer that no backend can change, a 500 for JSON that it cannot read: text that is no
JSON (or is cut by a wrong Inference-Header-Content-Length), a value of another type than the
protocol says, and a negative number in `shape`, `classification` or `binary_data_size`. Triton sees
only 32 bits of a class count: a multiple of 2**32 over gRPC is answered with no class at all.
"""

import random
from collections import Counter

import numpy as np
import psutil
import pytest
import tritonclient.grpc

from gateway.image import to_tensor
from tests.e2e.broken_answers import Endpoints, ask_all, ask_http
from tests.e2e.broken_requests import (
    CASES,
    PHOTOS,
    Case,
    right_picture,
    right_tensor,
    tensor_case,
)
from tests.e2e.test_stack import contract_of
from tests.lite import MODEL
from tests.memory import MEGABYTE
from tests.servers import Running
from tests.waiting import wait_until


def endpoints(triton: Running) -> Endpoints:
    return Endpoints("127.0.0.1", triton.http_port, triton.grpc_port)


def is_own_answer(triton: Running, case: Case, answer: str) -> bool:
    """Compare the answer to a picture with the model's answer to the decoder's tensor of it.

    Triton's own decoder makes it: OpenCV 4.11 and 5.0 differ about 1 in 100 damaged photos.
    """
    image = tritonclient.grpc.InferInput("image", [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[case.content[4:]]], dtype=np.object_))
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc_port}") as client:
        tensor = client.infer(f"{MODEL}_decode", [image]).as_numpy("tensor")
    own = ask_http(endpoints(triton), tensor_case("own", tensor.tobytes()))[1]
    (score, index, _), (own_score, own_index, _) = answer.split(":", 2), own.split(":", 2)
    return index == own_index and abs(float(score) - float(own_score)) < 1e-3


@pytest.fixture(scope="module")
def tensors(triton: Running) -> dict[str, bytes]:
    contract = contract_of(triton)
    return {photo.wnid: to_tensor(photo.data, contract).tobytes() for photo in PHOTOS}


def family(triton: Running) -> dict[int, str]:
    """Map the pids of Triton and its stubs to what they are."""
    found = psutil.Process(triton.process.pid).children(recursive=True)
    return {p.pid: " ".join(p.cmdline()[:2])[-80:] for p in found if p.is_running()}


def resident(pids: dict[int, str]) -> int:
    """Sum up the bytes that only these processes hold."""
    return sum(psutil.Process(pid).memory_full_info().uss for pid in pids)


@pytest.mark.parametrize(("protocol", "seed"), [("HTTP", 20261), ("gRPC", 20262)])
def test_broken_requests_are_refused_and_harm_nobody(
    triton: Running, tensors: dict[str, bytes], protocol: str, seed: int
) -> None:
    warm = [right_picture(random.Random(i)) for i in range(16)]
    assert {ask_http(endpoints(triton), case)[0] for case in warm} == {"right"}
    before = family(triton)
    resting = resident(before)
    asked = ask_all(endpoints(triton), protocol, seed, tensors)
    wrong = [
        (case.kind, found, words)
        for case, found, words in asked
        if found not in expected_of(case, protocol)
    ]
    assert wrong == [], Counter((w[0], w[1]) for w in wrong)
    assert Counter(found for _, found, _ in asked)["right"] == CASES // 5
    answered = [(case, best) for case, found, best in asked if found == "answered"]
    assert {case.kind for case, _ in answered} >= {"damaged photo", "class count"}
    assert [best for case, best in answered if not is_own_answer(triton, case, best)] == []
    assert family(triton) == before
    wait_until(lambda: resident(before) < resting + 100 * MEGABYTE, "the memory is free again", 30)


def expected_of(case: Case, protocol: str) -> set[str]:
    """Return the outcomes that a request may have; the module's docstring says why."""
    if case.right:
        return {"right"}
    if case.kind == "shared memory":
        return {"unknown"}
    if case.envelope is not None:
        return {"refused", "unparseable"}
    if protocol == "HTTP" and has_json_that_triton_cannot_read(case):
        return {"unparseable"}
    if case.kind == "names":
        return {"refused", "unknown"}
    if protocol == "gRPC" and case.classes == 1 << 62:
        return {"empty"}
    if case.kind in ("damaged photo", "class count", "random after magic", "contents"):
        return {"refused", "answered"}  # what can be decoded is classified
    return {"refused"}


def has_json_that_triton_cannot_read(case: Case) -> bool:
    return case.header in ("1", "40") or min([*case.shape, case.classes, case.claimed or 0]) < 0


def test_the_models_still_answer_after_the_fuzz(triton: Running, tensors: dict[str, bytes]) -> None:
    chance = random.Random(1)
    assert ask_http(endpoints(triton), right_picture(chance))[0] == "right"
    assert ask_http(endpoints(triton), right_tensor(chance, tensors))[0] == "right"
