"""The server itself, over real connections."""

import contextlib
import json
import resource
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests

from gateway.errors import DeadlineExceeded
from gateway.request import Request
from gateway.server import most_connections
from tests.gateway.running import (
    JPEG,
    Running,
    Serve,
    arriving,
    hold_inferences,
    hold_request,
    in_background,
    maintain,
    raw_classify,
    read_all,
    refused,
    status_of_next,
)
from tests.gateway.stub import StubTriton, picture
from tests.waiting import wait_until


def body_of(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_picture_is_classified_over_http(serve: Serve) -> None:
    answer = serve().classify()
    assert answer.status_code == 200
    assert answer.json()["results"][0]["predictions"][0]["label"] == "red"
    assert "Server" not in answer.headers


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad_request"),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 413, "too_large"),
        (
            b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
            "bad_request",
        ),
        (
            b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 40_000,
            400,
            "bad_request",
        ),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"x" * 40_000,
            400,
            "bad_request",
        ),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431, "headers_too_large"),
    ],
    ids=[
        "no HTTP",
        "bad address",
        "negative length",
        "too long",
        "bad chunk",
        "endless chunk line",
        "endless trailer",
        "unknown encoding",
        "headers",
    ],
)
def test_broken_http_is_answered_in_the_one_shape(
    serve: Serve, raw: bytes, status: int, code: str
) -> None:
    answer = serve().say(raw)
    assert answer.startswith(b"HTTP/1.") and answer.split(b" ")[1] == b"%d" % status
    assert body_of(answer)["error"]["code"] == code
    assert b"Content-Security-Policy: default-src 'none'" in answer


def test_what_the_application_never_saw_is_counted(serve: Serve) -> None:
    server = serve()
    with server.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n")
        read_all(connection)
    counted = requests.get(server.url + "/metrics", timeout=10).text
    assert 'edgelens_http_requests_total{route="other",status="413"} 1.0' in counted


def test_a_refusal_is_counted_under_no_path_that_a_client_made_up(serve: Serve) -> None:
    server = serve(max_upload_bytes=10_000, max_body_bytes=10_000)
    for path in ("/some/scanner", "/v1/classify"):
        said = f"POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: 30000\r\n\r\n"
        assert server.say(said.encode() + bytes(30_000)).startswith(b"HTTP/1.1 413 ")
    counted = requests.get(server.url + "/metrics", timeout=10).text
    assert 'edgelens_http_requests_total{route="other",status="413"} 1.0' in counted
    assert 'edgelens_http_requests_total{route="/v1/classify",status="413"} 1.0' in counted
    assert "scanner" not in counted


def test_a_refusal_has_the_shape_of_the_path_that_the_application_would_see(serve: Serve) -> None:
    server = serve(max_upload_bytes=10_000, max_body_bytes=10_000)
    said = b"POST //predict HTTP/1.1\r\nConnection: close\r\nContent-Length: 30000\r\n\r\n"
    assert body_of(server.say(said + bytes(30_000)))["success"] is False


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /v1/classify HTTP/1.1\r\nContent-Length: 999999999999", b"413"),
        ("POST /v1/classify HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: 0", b"400"),
        ("GET /healthz HTTP/1.1", b"200"),
    ],
    ids=["too large", "empty", "without a body"],
)
def test_nobody_is_asked_to_go_on_for_nothing(serve: Serve, head: str, status: bytes) -> None:
    raw = f"{head}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n".encode()
    assert serve().say(raw).startswith(b"HTTP/1.1 " + status)


def test_what_is_refused_behind_another_request_is_answered_too(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1, max_upload_bytes=1024, max_body_bytes=1024)
    hold = hold_inferences(triton)
    head = b"POST /v1/classify HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n"
    with running.connect() as client:
        client.sendall(raw_classify() + head)
        wait_until(lambda: refused(running), "it is refused", 10)
        hold.set()
        assert status_of_next(client) == 200
        wait_until(lambda: arriving(running)[0].sent_continue, "its body is asked for", 10)
        client.sendall(bytes(2000))
        assert status_of_next(client) == 413


def test_an_endless_chunked_body_is_cut_off(serve: Serve) -> None:
    running = serve(max_body_bytes=100_000)
    with running.connect() as connection:
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        with pytest.raises(OSError):
            for _ in range(10_000):
                connection.sendall(chunk)


def test_a_large_body_has_no_name_in_any_folder(
    serve: Serve, triton: StubTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    running = serve()
    hold = hold_inferences(triton)
    noise = np.random.default_rng(1).integers(0, 256, (800, 800, 3), np.uint8)
    files = {"image": cv2.imencode(".png", noise)[1].tobytes()}
    url = f"{running.url}/v1/classify"
    thread, results = in_background(lambda: requests.post(url, files=files, timeout=20))
    assert triton.entered.acquire(timeout=10)
    assert list(tmp_path.iterdir()) == []
    hold.set()
    thread.join(20)
    assert results[0].status_code == 200


def test_a_body_shorter_than_it_says_is_never_a_request(serve: Serve, triton: StubTriton) -> None:
    running = serve()
    with running.connect() as connection:
        connection.sendall(
            b"POST /v1/classify HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: 50\r\n\r\nx"
        )
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""
    assert triton.batches == []


def test_a_slow_upload_is_cut_off_and_holds_no_thread(serve: Serve) -> None:
    running = serve(threads=1)
    with running.connect() as slow:
        slow.sendall(b"POST /v1/classify HTTP/1.1\r\nContent-Length: 5000\r\n\r\n")
        wait_until(lambda: arriving(running), "the upload has begun", 10)
        assert running.classify().status_code == 200
        arriving(running)[0].request.pace.since -= 60
        maintain(running)
        assert read_all(slow) == b""


def test_what_is_over_the_limit_is_refused_at_once(serve: Serve, triton: StubTriton) -> None:
    running = serve(threads=1)
    running.services.admission.limit = 1
    running.services.admission.seconds_per_picture = 3.5
    hold, thread, results = hold_request(running, triton)
    with requests.Session() as session:
        for _ in range(2):
            refused = session.post(f"{running.url}/predict", data={"image": "x"}, timeout=10)
            assert refused.status_code == 503
            assert refused.headers["Retry-After"] == "4"
            assert refused.json()["success"] is False
            assert refused.json()["error"]["code"] == "overloaded"
        assert session.get(f"{running.url}/healthz", timeout=10).status_code == 200
        metrics = session.get(f"{running.url}/metrics", timeout=10).text
        assert 'edgelens_rejections_total{reason="overloaded"} 2.0' in metrics
    hold.set()
    thread.join(20)
    assert results[0].status_code == 200
    assert running.services.admission.in_flight == 0


def test_a_waiting_client_that_hangs_up_frees_its_place(serve: Serve, triton: StubTriton) -> None:
    running = serve(threads=1)
    running.services.admission.limit = 2
    hold, first, results = hold_request(running, triton)
    waiting = running.connect()
    waiting.sendall(raw_classify())
    wait_until(lambda: running.services.admission.in_flight == 2, "the second one waits", 10)
    assert running.classify().status_code == 503
    waiting.close()
    wait_until(lambda: running.services.admission.in_flight == 1, "its place is free", 10)
    third, more = in_background(running.classify)
    queue = running.server.task_dispatcher._work
    wait_until(lambda: any(channel.connected for channel in queue.queue), "its place is taken", 10)
    hold.set()
    first.join(20)
    third.join(20)
    assert [results[0].status_code, more[0].status_code] == [200, 200]
    assert len(triton.batches) == 2


def test_a_client_over_its_share_whose_waiting_request_hung_up_has_room_again(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1, trusted_proxy="*")
    running.services.admission.limit = 2
    hold = hold_inferences(triton)
    first, _ = in_background(lambda: post_as(running, "10.0.0.1"))
    assert triton.entered.acquire(timeout=20)
    with running.connect() as waiting:
        waiting.sendall(raw_classify().replace(b"\r\n", b"\r\nX-Forwarded-For: 10.0.0.2\r\n", 1))
        wait_until(lambda: running.services.admission.in_flight == 2, "the second waits", 20)
        assert post_as(running, "10.0.0.2").status_code == 429
    wait_until(lambda: running.services.admission.in_flight == 1, "its place is free", 20)
    again, results = in_background(lambda: post_as(running, "10.0.0.2"))
    queue = running.server.task_dispatcher._work
    wait_until(lambda: any(channel.connected for channel in queue.queue), "its place is taken", 20)
    hold.set()
    first.join(20)
    again.join(20)
    assert results[0].status_code == 200


def test_a_request_past_its_deadline_is_dropped_before_inference(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    hold, first, _ = hold_request(running, triton)
    second, late = in_background(running.classify)
    queue = running.server.task_dispatcher._work
    wait_until(lambda: queue.queue, "the second one waits", 10)
    queue.queue[0].requests[0].ticket.deadline.start -= 60
    hold.set()
    first.join(20)
    second.join(20)
    assert late[0].status_code == 504
    assert late[0].json()["error"]["code"] == "deadline_exceeded"
    assert len(triton.batches) == 1


def test_a_hanging_triton_keeps_nobody_waiting_for_a_thread(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    hold, first, _ = hold_request(running, triton)
    triton.hold, triton.failure = None, DeadlineExceeded("late")
    running.services.readiness.probe()
    refused = running.classify()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert refused.json()["error"]["code"] == "triton_unavailable"
    assert first.is_alive()  # so that there was no thread for the second one
    hold.set()
    first.join(20)


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    last = b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = serve().say(b"GET /healthz HTTP/1.1\r\n\r\n" + last)
    assert answer.index(b'{"status":"ok"}') < answer.index(b"not_found")


@pytest.mark.parametrize("proxy", ["127.0.0.1", "*"])
def test_clients_behind_the_trusted_proxy_have_shares_of_their_own(
    serve: Serve, triton: StubTriton, proxy: str
) -> None:
    running = serve(threads=1, trusted_proxy=proxy)
    running.services.admission.limit = 2
    hold = hold_inferences(triton)
    answers: list[int] = []
    for client in ("10.0.0.1", "10.0.0.2"):
        in_background(lambda c=client: answers.append(post_as(running, c).status_code))
    wait_until(lambda: running.services.admission.in_flight == 2, "all places are taken", 10)
    refused = post_as(running, "10.0.0.1")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "too_many_requests"
    hold.set()
    wait_until(lambda: answers == [200, 200], "the others are served", 10)


def test_the_address_in_a_strangers_header_is_not_believed(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    running.services.admission.limit = 2
    hold = hold_inferences(triton)
    for client in ("10.0.0.1", "10.0.0.2"):
        in_background(lambda c=client: post_as(running, c))
    wait_until(lambda: running.services.admission.in_flight == 2, "all places are taken", 10)
    assert post_as(running, "10.0.0.1").status_code == 503
    hold.set()
    wait_until(lambda: running.services.admission.in_flight == 0, "all are answered", 10)


@pytest.mark.parametrize("proxy", ["", "127.0.0.1", "*"])
@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-Proto": "ftp,<b>"},
        {"X-Forwarded-For": '"10.0.0.1'},
        {"X-Forwarded-Host": '"'},
        {"Forwarded": "for=;;proto=<b>"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_a_malformed_header_of_a_proxy_is_neither_answered_nor_logged(
    serve: Serve, proxy: str, header: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = requests.get(f"{serve(trusted_proxy=proxy).url}/healthz", headers=header, timeout=20)
    assert answer.status_code == 200
    assert "Content-Security-Policy" in answer.headers
    assert caplog.text == ""


def test_the_rate_is_that_of_the_client_behind_the_proxy(serve: Serve) -> None:
    running = serve(trusted_proxy="127.0.0.1", client_rate=0.01)
    assert post_as(running, "10.0.0.1").status_code == 200
    assert post_as(running, "10.0.0.2").status_code == 200
    assert post_as(running, "10.0.0.1").status_code == 429
    assert post_as(running, "10.0.0.1:4711").status_code == 429
    assert post_as(running, "[fe80::1]:4711").status_code == 200
    assert post_as(running, "[fe80::1]:4712").status_code == 429


def post_as(running: Running, client: str) -> requests.Response:
    """Classify, saying that a proxy took the request from this client."""
    headers = {**JPEG, "X-Forwarded-For": f"6.6.6.6, {client}"}
    return requests.post(f"{running.url}/v1/classify", data=picture(), headers=headers, timeout=20)


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
    hold, thread, results = hold_request(running, triton)
    assert requests.get(f"{running.url}/healthz", timeout=20).status_code == 200
    hold.set()
    thread.join(20)
    assert results[0].status_code == 200


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


def test_nobody_is_asked_for_a_body_who_has_gone(serve: Serve) -> None:
    running = serve()
    with running.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert status_of_next(client) == 200
        (channel,) = running.server.active_channels.values()
    wait_until(lambda: not channel.connected, "the hang-up is seen", 20)
    channel.request = Request(running.server.adj)
    channel.send_continue()
    assert not channel.total_outbufs_len


@pytest.mark.parametrize(("limit", "most"), [(60, 1), (256, 78), (1 << 20, 900)])
def test_few_descriptors_allow_few_connections(
    monkeypatch: pytest.MonkeyPatch, limit: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert most_connections() == most


def test_https_is_answered_at_once(serve: Serve) -> None:
    context = ssl.create_default_context()
    with serve().connect() as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_the_sender_of_a_body_that_is_too_large_meets_the_answer(serve: Serve) -> None:
    running = serve(max_upload_bytes=100_000, max_body_bytes=200_000)
    head = b"POST /v1/classify HTTP/1.1\r\nConnection: close\r\nContent-Length: 700000\r\n\r\n"
    with running.connect() as client:
        client.sendall(head)
        wait_until(lambda: refused(running), "it is refused", 10)
        client.sendall(bytes(700_000))
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "more than 200000 bytes" in body_of(answer)["error"]["message"]


def connect_from(address: str, running: Running) -> socket.socket:
    where = ("127.0.0.1", int(running.server.effective_port))
    return socket.create_connection(where, 20, source_address=(address, 0))


def test_the_loop_is_woken_however_often_without_waiting(serve: Serve) -> None:
    running = serve()
    running.server.stop()
    running.thread.join(20)  # so that nobody empties the pipe
    waking, _ = in_background(lambda: [running.server.pull_trigger() for _ in range(70_000)])
    waking.join(20)
    assert not waking.is_alive()
