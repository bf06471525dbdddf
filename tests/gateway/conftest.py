"""A gateway with a stub in Triton's place."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.app import create_app
from gateway.config import Settings
from gateway.services import Services
from gateway.transport.server import Server
from tests.gateway.clock import Clock
from tests.gateway.running import Running, Serve
from tests.gateway.stub import Gateway, Start, StubTriton


@pytest.fixture
def clock() -> Clock:
    return Clock()


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


@pytest.fixture
def serve(start: Start) -> Iterator[Serve]:
    """Return a function that serves a gateway on a free port."""
    started: list[Running] = []

    def run(**settings: Any) -> Running:
        gateway = start(port=0, **settings)
        server = Server(gateway.client.application, gateway.services.settings, gateway.services)
        running = Running(server, gateway.services, threading.Thread(target=server.serve))
        running.thread.start()
        started.append(running)
        return running

    yield run
    for running in started:
        running.server.stop()
        running.thread.join(20)
        running.server.close()
