"""More connections than there may be: which one makes room."""

import contextlib
import resource
import socket
import threading

import pytest
import requests

from gateway.transport.server import most_connections
from tests.gateway.running import (
    Running,
    Serve,
    held_request,
    hold_inferences,
    raw_classify,
    read_all,
    status_of_next,
)
from tests.gateway.stub import StubTriton
from tests.waiting import wait_until


def test_a_crowd_of_idle_connections_shuts_nobody_out(serve: Serve) -> None:
    running = serve()
    running.server.crowded = 5
    with contextlib.ExitStack() as stack:
        friend = stack.enter_context(connect_from("127.0.0.2", running))
        strangers = [stack.enter_context(running.connect()) for _ in range(20)]
        wait_until(lambda: read_all(strangers[0]) == b"", "the oldest one is closed", 20)
        assert running.classify().status_code == 200
        assert len(running.server.active_channels) <= 6
        friend.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert status_of_next(friend) == 200


def test_a_request_under_way_is_never_closed_for_a_newcomer(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    running.server.crowded = 1
    with held_request(running, triton) as results:
        assert requests.get(f"{running.url}/healthz", timeout=20).status_code == 200
    assert results[0].status_code == 200


def test_an_idle_connection_makes_room_before_a_busy_one_that_is_older(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    running.server.crowded = 2
    with held_request(running, triton), running.connect() as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert status_of_next(idle) == 200
        wait_until(lambda: unoccupied(running), "the request has ended", 20)
        assert requests.get(f"{running.url}/healthz", timeout=20).status_code == 200
        assert read_all(idle) == b""


def test_an_idle_connection_that_sends_a_request_meanwhile_is_not_replaced(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve()
    running.server.crowded = 1
    hold = hold_inferences(triton)
    turning, go_on = threading.Event(), threading.Event()
    with running.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert status_of_next(client) == 200
        running.server.trigger.pull_trigger(lambda: turning.set() or go_on.wait(20))
        assert turning.wait(20)
        with running.connect() as newcomer:
            client.sendall(raw_classify())
            go_on.set()
            newcomer.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert status_of_next(newcomer) == 200
            hold.set()
            assert status_of_next(client) == 200


@pytest.mark.parametrize(("limit", "most"), [(60, 1), (256, 78), (1 << 20, 900)])
def test_few_descriptors_allow_few_connections(
    monkeypatch: pytest.MonkeyPatch, limit: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert most_connections() == most


def unoccupied(running: Running) -> bool:
    """Tell whether a connection waits for a request; one is not yet when its answer has come."""
    return not all(channel.requests for channel in list(running.server.active_channels.values()))


def connect_from(address: str, running: Running) -> socket.socket:
    where = ("127.0.0.1", int(running.server.effective_port))
    return socket.create_connection(where, 20, source_address=(address, 0))
