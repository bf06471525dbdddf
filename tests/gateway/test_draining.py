"""A server that was told to stop: what it still answers, and what it no longer accepts."""

import threading

import pytest
import requests

from tests.gateway.running import (
    DESCRIPTION,
    Running,
    Serve,
    arriving,
    held_request,
    hold_inferences,
    raw_classify,
    read_all,
    serve_through_a_narrow_pipe,
    silent_readers,
    status_of_next,
    unread,
)
from tests.gateway.stub import StubTriton
from tests.waiting import wait_until


def workers() -> set[threading.Thread]:
    """Return the threads that answer requests, of all servers of this process."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("waitress")}


def drain(running: Running) -> None:
    """Tell the server to stop, and wait until it takes nothing new."""
    running.server.stop()
    wait_until(lambda: running.server.draining, "it drains", 10)


def test_draining_answers_what_was_admitted_and_nothing_else(
    serve: Serve, triton: StubTriton
) -> None:
    before = workers()
    running = serve(threads=1)
    with held_request(running, triton) as results:
        assert workers() - before
        drain(running)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{running.url}/healthz", timeout=10)
        assert running.thread.is_alive()
    running.thread.join(20)
    assert results[0].status_code == 200
    assert not running.thread.is_alive()
    wait_until(lambda: not workers() - before, "its threads end", 20)


def test_draining_closes_a_kept_connection_before_it_is_used_again(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    with held_request(running, triton) as results, running.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert status_of_next(connection) == 200
        running.server.stop()
        assert read_all(connection) == b""
        assert results == []


def test_draining_answers_what_has_begun_to_arrive(serve: Serve) -> None:
    running = serve()
    with running.connect() as connection:
        connection.sendall(raw_classify()[:-20])
        wait_until(lambda: arriving(running), "it has the headers", 10)
        drain(running)
        connection.sendall(raw_classify()[-20:])
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 200") and b"\r\nConnection: close\r\n" in answer
    running.thread.join(20)
    assert not running.thread.is_alive()


def test_draining_sends_what_is_not_read_yet(serve: Serve) -> None:
    running = serve_through_a_narrow_pipe(serve)
    with silent_readers(running, 1, DESCRIPTION) as (client,):
        wait_until(lambda: unread(running), "the answer is waiting to be read", 20)
        drain(running)
        assert status_of_next(client) == 200


def test_draining_is_not_ready_and_promises_http_1_0_no_connection(serve: Serve) -> None:
    running = serve()
    with running.connect() as connection:
        connection.sendall(b"GET /readyz HTTP/1.0\r\nConnection: keep-alive\r\n")
        wait_until(lambda: arriving(running), "it has begun", 10)
        drain(running)
        connection.sendall(b"\r\n")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.0 503") and b"shutting down" in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert b"Keep-Alive" not in answer


def test_draining_refuses_what_begins_meanwhile_on_a_busy_connection(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    with held_request(running, triton), running.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n" + raw_classify()[:20])
        assert status_of_next(connection) == 200
        drain(running)
        running.server.task_dispatcher.draining_since = 0.0  # before it began
        connection.sendall(raw_classify()[20:])
        answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 503") and b"\r\nConnection: close\r\n" in answer


def test_draining_gives_up_after_the_grace_period(serve: Serve, triton: StubTriton) -> None:
    running = serve(threads=1, grace_seconds=0.2)
    hold = hold_inferences(triton)
    with running.connect() as connection:
        connection.sendall(raw_classify())
        assert triton.entered.acquire(timeout=10)
        running.server.stop()
        running.thread.join(20)
        assert not running.thread.is_alive()
        assert read_all(connection) == b""
    hold.set()
