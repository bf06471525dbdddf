"""A stack with one small model, for fault injection."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Gateway, repository, running_gateway
from tests.lite import copy_repository
from tests.servers import Running, start_inference

__all__ = ["repository"]


@pytest.fixture(scope="session")
def small_repository(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_repository(repository, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def triton(small_repository: Path) -> Iterator[Running]:
    """A Triton without its response cache, which would answer for a broken model."""
    with start_inference(small_repository, TRITON_CACHE_BYTES="0") as running:
        yield running


@pytest.fixture(scope="session")
def gateway(triton: Running) -> Iterator[Gateway]:
    with running_gateway(triton) as running:
        yield running
