"""The real stack with one model for the examples to talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import is_ready, repository, start_gateway, stop_gateway  # noqa: F401
from tests.lite import copy_repository
from tests.servers import Running, start_inference
from tests.waiting import wait_until


@pytest.fixture(scope="session")
def triton(
    repository: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    with start_inference(copy_repository(repository, tmp_path_factory.mktemp("models"))) as running:
        yield running


@pytest.fixture(scope="session")
def gateway_url(triton: Running) -> Iterator[str]:
    running = start_gateway(triton)
    try:
        wait_until(lambda: is_ready(running.url), "the gateway is ready", 60)
        yield running.url
    finally:
        stop_gateway(running)
