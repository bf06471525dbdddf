"""Clients that send too much, too slowly or without reading, over real connections."""

import threading
import time

import pytest
import requests
from PIL import Image

from gateway.transport import pace, server
from gateway.transport.server import IDLE_SECONDS
from tests.gateway.running import (
    DESCRIPTION,
    Running,
    Serve,
    answered,
    arrived,
    arriving,
    await_maintenance,
    hold_inferences,
    maintain,
    raw_classify,
    read_all,
    serve_through_a_narrow_pipe,
    silent_readers,
    unread,
)
from tests.gateway.stub import StubTriton, picture
from tests.pictures import encode
from tests.waiting import wait_until

FLOOD = 100_000  # bytes of requests that come at once
LONG_AGO = 60  # seconds


def tiny_classify() -> bytes:
    """Return a request that is much shorter than its answer."""
    gif = encode(Image.new("RGB", (1, 1)), "GIF")
    head = f"POST /v1/classify HTTP/1.1\r\nContent-Type: image/gif\r\nContent-Length: {len(gif)}"
    return f"{head}\r\n\r\n".encode() + gif


def is_healthy(running: Running) -> bool:
    return requests.get(f"{running.url}/healthz", timeout=20).status_code == 200


def let_time_pass(running: Running) -> None:
    for channel in list(running.server.active_channels.values()):
        channel.pace.since -= LONG_AGO
        if channel.request:
            channel.request.pace.since -= LONG_AGO
    maintain(running)


def test_only_a_few_requests_that_come_at_once_are_answered(serve: Serve) -> None:
    answers = serve().say(b"GET /healthz HTTP/1.1\r\n\r\n" * 1000)
    assert 4 <= answers.count(b"HTTP/1.1 200 OK") < 1000
    assert answers.count(b"Connection: close") == 1


def test_who_reads_no_answer_keeps_no_thread(serve: Serve) -> None:
    running = serve_through_a_narrow_pipe(serve)
    with silent_readers(running, 6, DESCRIPTION * (FLOOD // len(DESCRIPTION))):
        wait_until(lambda: blocked(running), "answers are waiting to be read", 20)
        wait_until(lambda: given_up(running), "they are given up", 20)
        assert is_healthy(running)


def test_who_reads_no_label_keeps_no_thread(serve: Serve) -> None:
    running = serve_through_a_narrow_pipe(serve)
    with silent_readers(running, 2, tiny_classify() * (FLOOD // len(tiny_classify()))):
        assert running.classify().status_code == 200
        wait_until(lambda: running.admission.in_flight == 0, "all are answered", 20)


def blocked(running: Running) -> list[object]:
    """Return the connections with more unread answers than a thread may leave."""
    return [channel for channel in unread(running) if channel.total_outbufs_len > 4096]


def given_up(running: Running) -> bool:
    let_time_pass(running)  # once more for those whose turn came only now
    return not blocked(running)


def test_a_client_that_reads_steadily_is_left_alone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "SLOWEST", 1)
    running = serve_through_a_narrow_pipe(serve)
    with silent_readers(running, 1, DESCRIPTION * 4) as (client,):
        wait_until(lambda: blocked(running), "the answer is waiting to be read", 20)
        let_time_pass(running)
        assert is_healthy(running)
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < 4:
            piece = client.recv(65536)
            assert piece
            answers += piece


def test_an_upload_that_stops_is_cut_off_however_fast_it_was(serve: Serve) -> None:
    running = serve()
    with running.connect() as client:
        client.sendall(b"POST /v1/classify HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n")
        client.sendall(bytes(8_000_000))
        wait_until(lambda: arrived(running) == 8_000_000, "most has arrived", 20)
        let_time_pass(running)
        wait_until(lambda: pace_was_judged(running), "its speed is judged", 20)
        assert is_healthy(running)
        let_time_pass(running)
        assert read_all(client) == b""


def pace_was_judged(running: Running) -> bool:
    (request,) = [c.request for c in running.server.active_channels.values() if c.request]
    return bool(request.pace.since > request.began - LONG_AGO + 1)


def test_an_upload_is_not_slow_while_the_request_before_it_is_answered(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    hold = hold_inferences(triton)
    last = raw_classify().replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    with running.connect() as client:
        client.sendall(raw_classify() + last[:-10])
        assert triton.entered.acquire(timeout=20)
        wait_until(lambda: arriving(running), "the next one has begun", 10)
        upload = arriving(running)[0].request
        before = upload.pace.since
        let_time_pass(running)
        wait_until(lambda: upload.pace.since >= before, "a new interval has begun", 10)
        hold.set()
        client.sendall(last[-10:])
        assert read_all(client).count(b"HTTP/1.1 200 OK") == 2


def test_many_half_sent_requests_leave_room_for_others(serve: Serve) -> None:
    running = serve(threads=1)
    half = raw_classify()[:-10]
    with silent_readers(running, 40, half) as clients:
        wait_until(lambda: arrived(running) > 39 * 100, "all have begun", 20)
        assert running.classify().status_code == 200
        assert is_healthy(running)
        clients[0].sendall(raw_classify()[-10:])
        assert clients[0].recv(100).startswith(b"HTTP/1.1 200 OK")


def test_a_path_with_more_slashes_is_admitted_like_any(serve: Serve, triton: StubTriton) -> None:
    running = serve(threads=1)
    running.admission.limit = 1
    hold = hold_inferences(triton)
    with silent_readers(running, 1, raw_classify()):
        assert triton.entered.acquire(timeout=20)
        refused = requests.post(f"{running.url}//v1/classify", data=picture(), timeout=20)
        assert refused.status_code == 503
        hold.set()


def test_only_a_few_requests_that_come_at_once_are_refused_without_a_thread(serve: Serve) -> None:
    running = serve()
    running.admission.limit = 0
    running.server.task_dispatcher._light.set_thread_count(0)
    answers = running.say(b"POST /predict HTTP/1.1\r\n\r\n" * 500)
    assert answers.count(b"HTTP/1.1 503 Refused") == 4
    assert answers.count(b"Connection: close") == 1


def test_a_refusal_behind_an_answer_is_sent_too(serve: Serve, triton: StubTriton) -> None:
    running = serve(threads=1)
    hold = hold_inferences(triton)
    with running.connect() as client:
        client.sendall(raw_classify() + b"POST /predict HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert triton.entered.acquire(timeout=20)
        running.admission.limit = -1  # the first answer adds one
        hold.set()
        answers = read_all(client)
    assert answers.count(b"HTTP/1.1 200 OK") == answers.count(b"HTTP/1.1 503 Refused") == 1


def test_who_reads_no_answer_does_not_stop_the_loop_by_a_refusal(serve: Serve) -> None:
    running = serve()
    running.admission.limit = 0
    turning = threading.Event()
    with running.connect() as client:
        channel = answered(running, client)

        def send_on() -> None:
            turning.set()
            channel.total_outbufs_len = running.server.adj.outbuf_high_watermark + 1
            channel.received(b"POST /predict HTTP/1.1\r\n\r\n")

        running.server.trigger.pull_trigger(send_on)
        assert turning.wait(20)
        assert is_healthy(running)
        channel.total_outbufs_len = 0  # it stops without waiting for this client


def test_a_connection_without_a_request_is_closed_in_the_end(serve: Serve) -> None:
    running = serve()
    with running.connect() as client:
        channel = answered(running, client)
        channel.active_at -= IDLE_SECONDS + 1
        assert answered(running, client) is channel
        wait_until(running.server.task_dispatcher.idle, "its thread is done with it", 20)
        await_maintenance(running)
        assert answered(running, client) is channel  # it was in use
        wait_until(running.server.task_dispatcher.idle, "its thread is done with it", 20)
        channel.active_at -= IDLE_SECONDS + 1
        maintain(running)
        assert read_all(client) == b""


@pytest.mark.parametrize("seconds", [0, 3600], ids=["right", "set forward"])
def test_whatever_the_date_the_time_before_an_answer_does_not_count_against_its_reader(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    running = serve()
    with running.connect() as client:
        channel = answered(running, client)
        wait_until(running.server.task_dispatcher.idle, "its thread is done with it", 20)
        set_date(monkeypatch, seconds)
        before = channel.pace.since
        let_time_pass(running)
        wait_until(lambda: channel.pace.since >= before, "the server has looked at it", 10)
        assert answered(running, client) is channel


def test_a_date_that_is_set_back_lets_no_upload_stop(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAINTENANCE_SECONDS", 0.1)
    running = serve()
    with running.connect() as client:
        client.sendall(raw_classify()[:-10])
        wait_until(lambda: arriving(running), "it has begun", 10)
        set_date(monkeypatch, -3600)
        for channel in arriving(running):
            channel.request.pace.since -= LONG_AGO
        assert read_all(client) == b""


def set_date(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    date = time.time
    monkeypatch.setattr(time, "time", lambda: date() + seconds)
