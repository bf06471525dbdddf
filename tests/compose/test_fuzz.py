"""Thousands of broken requests to the endpoints that the balancer publishes: no answer is a 5xx."""

from collections import Counter

import grpc
import pytest
import requests

from gateway.contract import Contract
from gateway.image import to_tensor
from tests.compose.stack import Stack
from tests.e2e.broken_answers import Endpoints, ask_all
from tests.e2e.broken_requests import CASES, PHOTOS
from tests.lite import MODEL
from tests.photos import Photo

REFUSED = {
    "refused",
    "unknown",
    "answered",  # it makes sense after all: a damaged photo, a smaller class count
    "empty",  # Triton sees only 32 bits of a class count
    "HTTP 403",  # a name that changes the path
    "HTTP 413",
    str(grpc.StatusCode.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize(("protocol", "seed"), [("HTTP", 20263), ("gRPC", 20264)])
def test_every_broken_request_is_the_clients_mistake(
    stack: Stack, hammer: Photo, protocol: str, seed: int
):
    stack.wait_for_label(hammer.data)
    config = requests.get(f"{stack.http_url}/v2/models/{MODEL}/config", timeout=10).json()
    texts = {name: value["string_value"] for name, value in config["parameters"].items()}
    contract = Contract.from_parameters(texts)
    tensors = {photo.wnid: to_tensor(photo.data, contract).tobytes() for photo in PHOTOS}
    before = stack.losses()
    published = Endpoints(stack.bind, stack.http_port, stack.grpc_port)
    asked = ask_all(published, protocol, seed, tensors)
    ends = Counter(found for case, found, _ in asked if not case.right)
    assert set(ends) <= REFUSED
    assert {found for case, found, _ in asked if case.right} == {"right"}
    assert ends["refused"] > CASES // 2
    assert stack.losses() == before
