"""A Triton that hangs: requests are refused at once, until it answers again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from tests.e2e.conftest import is_ready, running_gateway
from tests.lite import copy_repository
from tests.photos import photos
from tests.servers import Running, start_inference
from tests.waiting import wait_until

PHOTO = photos()[0]


@pytest.fixture
def triton(repository: Path, tmp_path: Path) -> Iterator[Running]:
    """A Triton for this test alone, because a freeze would disturb other tests."""
    with start_inference(copy_repository(repository, tmp_path / "models")) as running:
        yield running


@contextmanager
def frozen(triton: Running) -> Iterator[None]:
    """Freeze Triton, and the launcher that would heal it."""
    launcher = psutil.Process(triton.process.pid)
    parts = [launcher, *launcher.children(recursive=True)]
    for part in parts:
        part.suspend()
    try:
        yield
    finally:
        for part in reversed(parts):
            part.resume()


def classify(url: str) -> requests.Response:
    return requests.post(f"{url}/v1/classify", files={"image": PHOTO.data}, timeout=60)


def test_nobody_waits_for_a_frozen_triton(triton: Running) -> None:
    """A client that waited for it in vain would get a 504."""
    with running_gateway(triton) as gateway:
        with frozen(triton):
            wait_until(lambda: not is_ready(gateway.url), "the gateway notices", 60)
            answer = classify(gateway.url)
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "triton_unavailable"
            assert int(answer.headers["Retry-After"]) > 0
        wait_until(lambda: classify(gateway.url).status_code == 200, "it answers again", 120)
