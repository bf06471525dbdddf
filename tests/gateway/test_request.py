"""Requests as they arrive over real connections: broken, too large, too slow, in part."""

import http.client
import json
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests

from gateway.transport.request import LONGEST, TLS_HELLO, Request
from tests.gateway.running import (
    Serve,
    answered,
    arrived,
    arriving,
    await_maintenance,
    hold_inferences,
    in_background,
    maintain,
    raw_classify,
    read_all,
    refused,
    status_of_next,
)
from tests.gateway.stub import StubTriton
from tests.waiting import wait_until


def body_of(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


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
        (
            b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"GET /healthz HTTP/1.1\r\n\r\n",
            400,
            "bad_request",
        ),
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
        "chunks in HTTP/1.0",
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


@pytest.mark.parametrize(
    ("version", "options", "told"),
    [
        ("1.1", "TE, close", "close"),
        ("1.1", "Close, Keep-Alive", "close"),
        ("1.1", "keep-alive, Upgrade", None),
        ("1.0", "TE,keep-alive", "Keep-Alive"),
        ("1.0", "keep-alive, close", "close"),
        ("1.0", "TE", "close"),
    ],
)
def test_the_options_of_a_connection_may_come_in_a_list(
    serve: Serve, version: str, options: str, told: str | None
) -> None:
    with serve().connect() as client:
        said = f"GET /healthz HTTP/{version}\r\nConnection: {options}\r\n\r\n"
        client.sendall(said.encode())
        answer = http.client.HTTPResponse(client)
        answer.begin()
    assert answer.getheader("Connection") == told


def test_an_address_without_a_path_is_the_pages(serve: Serve) -> None:
    answer = serve().say(b"GET http://example.org HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_what_is_closed_is_not_promised_to_be_kept(serve: Serve) -> None:
    head = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: x\r\n\r\n"
    assert serve().say(head).count(b"\r\nConnection: ") == 1


def test_nothing_may_follow_a_body_with_two_lengths(serve: Serve) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = serve().say(head + b"0\r\n\r\n" + b"GET /healthz HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"\r\nConnection: close\r\n") == 1


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


def test_a_refusal_is_counted_once_however_many_pieces_follow(serve: Serve) -> None:
    server = serve(max_upload_bytes=10_000, max_body_bytes=10_000)
    with server.connect() as connection:
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\nContent-Length: 12000\r\n\r\n")
        for size in range(3_000, 12_000, 3_000):
            connection.sendall(bytes(3_000))
            wait_until(lambda size=size: arrived(server) == size, "a piece has arrived", 20)
        connection.sendall(bytes(3_000))
        assert status_of_next(connection) == 413
    counted = requests.get(server.url + "/metrics", timeout=10).text
    assert 'edgelens_http_requests_total{route="/v1/classify",status="413"} 1.0' in counted


def test_a_refusal_has_the_shape_of_the_path_that_the_application_would_see(serve: Serve) -> None:
    server = serve(max_upload_bytes=10_000, max_body_bytes=10_000)
    said = b"POST //predict HTTP/1.1\r\nConnection: close\r\nContent-Length: 30000\r\n\r\n"
    assert body_of(server.say(said + bytes(30_000)))["success"] is False


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /v1/classify HTTP/1.1\r\nContent-Length: 70000000", b"413"),
        ("POST /v1/classify HTTP/1.1\r\nContent-Length: 999999999999", b"413"),
        (
            "POST /v1/classify HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: 0\r\n"
            "Connection: close",
            b"400",
        ),
        ("GET /healthz HTTP/1.1\r\nConnection: close", b"200"),
    ],
    ids=["too large", "far too large", "empty", "without a body"],
)
def test_nobody_is_asked_to_go_on_for_nothing(serve: Serve, head: str, status: bytes) -> None:
    raw = f"{head}\r\nExpect: 100-continue\r\n\r\n".encode()
    assert serve().say(raw).startswith(b"HTTP/1.1 " + status)


def test_who_waits_to_be_asked_for_a_picture_is(serve: Serve) -> None:
    head, _, body = raw_classify().partition(b"\r\n\r\n")
    with serve().connect() as client:
        client.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        asked = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert client.recv(len(asked), socket.MSG_WAITALL) == asked
        client.sendall(body)
        assert status_of_next(client) == 200


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


def test_what_is_refused_behind_a_refusal_is_answered_too(serve: Serve) -> None:
    running = serve(max_upload_bytes=1024, max_body_bytes=1024)
    running.admission.limit = 0
    head = b"POST /v1/classify HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n"
    with running.connect() as client:
        client.sendall(b"POST /predict HTTP/1.1\r\n\r\n" + head)
        assert status_of_next(client) == 503
        wait_until(
            lambda: any(c.sent_continue for c in arriving(running)), "its body is asked for", 10
        )
        client.sendall(bytes(2000))
        assert status_of_next(client) == 413


def test_the_refusal_of_a_head_request_has_no_body(serve: Serve) -> None:
    running = serve(max_upload_bytes=10_000, max_body_bytes=10_000)
    refused = b"HEAD /healthz HTTP/1.1\r\nContent-Length: 30000\r\n\r\n" + bytes(30_000)
    answers = running.say(refused + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answers.startswith(b"HTTP/1.1 413 ")
    assert answers.partition(b"\r\n\r\n")[2].startswith(b"HTTP/1.1 200 ")


def test_a_refused_request_that_proves_to_be_no_http_ends_its_connection(serve: Serve) -> None:
    running = serve(max_body_bytes=1000)
    with running.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"7d0\r\n" + bytes(2000) + b"\r\n")
        wait_until(lambda: refused(running), "it is refused", 10)
        connection.sendall(b"zz\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_an_endless_chunked_body_is_cut_off(serve: Serve) -> None:
    running = serve(max_body_bytes=100_000)
    with running.connect() as connection:
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        with pytest.raises(ConnectionError):  # and not a time-out, because nobody reads any more
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


def test_an_upload_is_cut_off_in_the_end_however_steady_it_is(serve: Serve) -> None:
    running = serve()
    with running.connect() as steady:
        steady.sendall(b"POST /v1/classify HTTP/1.1\r\nContent-Length: 5000\r\n\r\n")
        wait_until(lambda: arriving(running), "the upload has begun", 10)
        upload = arriving(running)[0].request
        upload.began -= LONGEST - 60
        await_maintenance(running)
        assert arriving(running)
        upload.began -= 61
        maintain(running)
        assert read_all(steady) == b""


def test_nobody_is_asked_for_a_body_who_has_gone(serve: Serve) -> None:
    running = serve()
    with running.connect() as client:
        channel = answered(running, client)
    wait_until(lambda: not channel.connected, "the hang-up is seen", 20)
    channel.request = Request(running.server.adj)
    channel.send_continue()
    assert not channel.total_outbufs_len


def test_https_is_answered_at_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    running, context = serve(), ssl.create_default_context()
    with running.connect() as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")
    wait_until(lambda: not running.server.active_channels, "the connection is closed", 20)
    assert not caplog.messages


def test_any_piece_of_a_body_may_begin_like_tls(serve: Serve) -> None:
    running = serve()
    head = b"POST /v1/classify HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: 2\r\n\r\n"
    with running.connect() as client:
        client.sendall(head)
        wait_until(lambda: arriving(running), "the headers have arrived", 10)
        client.sendall(TLS_HELLO)
        assert status_of_next(client) == 415  # not a picture, but a request


def test_the_sender_of_a_body_that_is_too_large_meets_the_answer(serve: Serve) -> None:
    running = serve(max_upload_bytes=100_000, max_body_bytes=200_000)
    head = b"POST /v1/classify HTTP/1.1\r\nConnection: close\r\nContent-Length: 700000\r\n\r\n"
    with running.connect() as client:
        client.sendall(head)
        wait_until(lambda: refused(running), "it is refused", 10)
        client.sendall(bytes(700_000))
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "the limit of 200000 bytes" in body_of(answer)["error"]["message"]
