"""The bytes of all requests under way, counted and over real connections."""

import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.budget import Budget
from gateway.keys import add_key
from gateway.transport.server import IN_MEMORY
from tests.gateway.running import (
    DESCRIPTION,
    JPEG,
    Running,
    Serve,
    arriving,
    held_request,
    hold_inferences,
    maintain,
    refused,
    serve_through_a_narrow_pipe,
    silent_readers,
    status_of_next,
)
from tests.gateway.stub import StubTriton, picture
from tests.waiting import wait_until

MOST = 1_000_000
HEAD = b"POST /v1/classify HTTP/1.1\r\nContent-Type: image/jpeg\r\n"
LENGTH = HEAD + b"Content-Length: %d\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def serve_with_budget(serve: Serve, **settings: Any) -> Running:
    running = serve(threads=1, **settings)
    running.services.budget.most = MOST
    return running


def keeps(running: Running, size: int) -> bool:
    return running.services.budget.kept == size


def test_what_is_beyond_the_bound_does_not_fit_and_what_shrinks_does() -> None:
    budget = Budget(10)
    assert budget.count("a", lambda: 6)
    assert budget.count("b", lambda: 4)
    assert not budget.count("b", lambda: 6)
    assert budget.count("c", lambda: 0)
    assert budget.count("b", lambda: 5)
    assert budget.count("b", lambda: 4)
    assert budget.count("a", lambda: 0)
    assert budget.kept == 4


def test_a_body_that_finds_no_room_is_refused_without_a_thread(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve_with_budget(serve)
    running.admission.seconds_per_picture = 3.5
    with held_request(running, triton) as results, requests.Session() as session:
        refused = session.post(f"{running.url}/predict", data=bytes(2 * MOST), timeout=20)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "4"
        assert refused.json()["success"] is False
        # The body was read and dropped, so the same connection goes on.
        assert session.get(f"{running.url}/healthz", timeout=20).status_code == 200
    assert results[0].status_code == 200
    wait_until(lambda: keeps(running, 0), "all room is free again", 20)


def test_the_client_that_sends_most_gives_way_to_others(serve: Serve) -> None:
    running = serve_with_budget(serve, trusted_proxy="*")
    greedy, modest = (HEAD + f"X-Forwarded-For: {n}\r\n".encode() for n in ("1.1.1.1", "2.2.2.2"))
    length = b"Content-Length: %d\r\n\r\n"
    with running.connect() as large, running.connect() as small, running.connect() as other:
        large.sendall(greedy + length % 500_001 + bytes(500_000))
        small.sendall(greedy + length % 400_001 + bytes(400_000))
        wait_until(lambda: keeps(running, 900_000), "both are arriving", 20)
        other.sendall(modest + length % 450_000 + picture() + bytes(450_000 - len(picture())))
        assert status_of_next(other) == 200
        large.sendall(b"x")
        small.sendall(b"x")
        assert status_of_next(large) == 503
        assert status_of_next(small) == 415
    wait_until(lambda: keeps(running, 0), "all room is free again", 20)


def test_a_body_of_unknown_length_is_refused_when_it_no_longer_fits(serve: Serve) -> None:
    running = serve_with_budget(serve)
    with running.connect() as connection:
        connection.sendall(CHUNKED)
        for _ in range(20):
            connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        wait_until(lambda: keeps(running, 0), "it is forgotten", 20)
        connection.sendall(b"0\r\n\r\n")
        assert status_of_next(connection) == 503
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert status_of_next(connection) == 200


def test_a_refused_body_that_is_no_http_closes_the_connection(serve: Serve) -> None:
    running = serve_with_budget(serve)
    running.services.budget.most = 0
    answer = running.say(CHUNKED + b"8000\r\n" + bytes(0x8000) + b"\r\nnonsense\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Connection: close" in answer


def test_a_client_that_hangs_up_while_sending_frees_its_room(serve: Serve) -> None:
    running = serve_with_budget(serve)
    with running.connect() as connection:
        connection.sendall(LENGTH % MOST + bytes(400_000))
        wait_until(lambda: keeps(running, 400_000), "it is counted", 20)
    wait_until(lambda: keeps(running, 0), "its room is free again", 20)


def test_a_client_that_hangs_up_while_waiting_frees_its_room(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve_with_budget(serve)
    with held_request(running, triton):
        resting = running.services.budget.kept
        with running.connect() as connection:
            connection.sendall(LENGTH % 400_000 + b"x" * 400_000)
            wait_until(lambda: running.admission.in_flight == 2, "it waits", 20)
        wait_until(lambda: keeps(running, resting), "its room is free again", 20)
    wait_until(lambda: keeps(running, 0), "all room is free again", 20)


def test_a_client_that_hangs_up_during_its_inference_takes_room_until_that_ends(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve_with_budget(serve)
    hold = hold_inferences(triton)
    with running.connect() as connection:
        connection.sendall(LENGTH % 400_000 + picture() + bytes(400_000 - len(picture())))
        assert triton.entered.acquire(timeout=20)
        assert keeps(running, 400_000)
    wait_until(lambda: not running.server.active_channels, "the hang-up is seen", 20)
    assert requests.get(f"{running.url}/healthz", timeout=20).status_code == 200
    assert keeps(running, 400_000)
    hold.set()
    wait_until(lambda: keeps(running, 0), "its room is free again", 20)


def test_an_answer_takes_room_until_it_is_read(serve: Serve) -> None:
    running = serve_through_a_narrow_pipe(serve)
    with silent_readers(running, 1, DESCRIPTION) as (client,):
        wait_until(lambda: running.services.budget.kept > 0, "it is counted", 20)
        assert status_of_next(client) == 200
        maintain(running)
        wait_until(lambda: keeps(running, 0), "its room is free again", 20)


@pytest.mark.parametrize("size", [IN_MEMORY, 2_000_000], ids=["the last piece", "a piece before"])
def test_a_full_temporary_directory_is_an_honest_refusal(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    running = serve()
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/full")
    for _ in range(2):
        refused = requests.post(
            f"{running.url}/v1/classify", data=bytes(size), headers=JPEG, timeout=20
        )
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "overloaded"
        assert "no space left to store this request" in refused.json()["error"]["message"]
    assert caplog.text.count("cannot be kept in /dev/null/full: ") == 1
    assert running.classify().status_code == 200


def test_a_server_without_any_temporary_directory_refuses_as_honestly(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = serve()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/dev/null/full"])
    refused = requests.post(
        f"{running.url}/v1/classify", data=bytes(2_000_000), headers=JPEG, timeout=20
    )
    assert refused.status_code == 503
    assert "No usable temporary directory found in ['/dev/null/full']" in caplog.text


def test_without_a_valid_key_no_body_is_kept(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    key = add_key(file, "alice")
    running = serve_with_budget(serve, api_keys_file=file)
    with running.connect() as connection:
        connection.sendall(LENGTH % 900_000 + bytes(899_999))
        wait_until(lambda: refused(running), "it is refused", 20)
        assert keeps(running, 0)
        connection.sendall(b"x")
        assert status_of_next(connection) == 401
    headers = {**JPEG, "X-API-Key": key}
    data = picture() + bytes(500_000)
    answer = requests.post(f"{running.url}/v1/classify", data=data, headers=headers, timeout=20)
    assert answer.status_code == 200


def test_a_body_that_nobody_reads_is_not_kept(serve: Serve) -> None:
    running = serve_with_budget(serve)
    with running.connect() as connection:
        connection.sendall(b"POST /healthz HTTP/1.1\r\nContent-Length: 500000\r\n\r\n")
        connection.sendall(bytes(499_999))
        connection.sendall(b"x")
        assert status_of_next(connection) == 405
    assert keeps(running, 0)


def test_a_body_that_nobody_reads_takes_no_other_request_s_room(serve: Serve) -> None:
    running = serve_with_budget(serve)
    with running.connect() as large, running.connect() as unread:
        large.sendall(LENGTH % MOST + bytes(MOST - 1))
        wait_until(lambda: keeps(running, MOST - 1), "it is arriving", 20)
        unread.sendall(b"POST /healthz HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + bytes(999))
        wait_until(lambda: len(arriving(running)) == 2, "it has begun", 20)
        unread.sendall(b"x")
        assert status_of_next(unread) == 405
        assert not refused(running)


def test_many_large_requests_at_once_are_answered_or_refused(serve: Serve) -> None:
    running = serve(threads=8)
    running.services.budget.most = 6_000_000
    document = json.dumps({"image": "A" * 2_000_000})
    statuses: list[int] = []

    def ask() -> None:
        headers = {"Content-Type": "application/json"}
        url = f"{running.url}/v1/classify"
        statuses.append(requests.post(url, data=document, headers=headers, timeout=30).status_code)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(statuses) == 12
    assert set(statuses) <= {415, 503}
    wait_until(lambda: keeps(running, 0), "all room is free again", 20)
