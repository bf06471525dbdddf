"""A gateway with a stub in Triton's place."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.app import create_app
from gateway.config import Settings
from gateway.services import Services
from tests.gateway.stub import Gateway, Start, StubTriton


@pytest.fixture
def triton() -> StubTriton:
    return StubTriton()


@pytest.fixture
def start(triton: StubTriton) -> Iterator[Start]:
    """Return a function that builds a gateway in front of the stub."""
    running: list[Gateway] = []

    def build(**settings: Any) -> Gateway:
        app = create_app(replace(Settings(model="colours"), **settings), triton)
        services: Services = app.extensions["edgelens"]
        services.catalog.refresh()
        services.readiness.probe()
        triton.batches.clear()
        running.append(Gateway(app.test_client(), services, triton))
        return running[-1]

    yield build
    for gateway in running:
        gateway.services.stop()


@pytest.fixture
def gateway(start: Start) -> Gateway:
    return start()
