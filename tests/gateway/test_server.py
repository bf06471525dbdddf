"""The server itself, over real connections: who is answered, who waits and who is refused."""

import threading

import pytest
import requests

from gateway.catalog import REMEMBER_SECONDS
from gateway.errors import DeadlineExceeded
from gateway.transport.dispatcher import NO_THREADS
from tests.gateway.clock import Clock
from tests.gateway.running import (
    Serve,
    await_maintenance,
    held_request,
    hold_inferences,
    in_background,
    maintain,
    post_as,
    queued,
    raw_classify,
)
from tests.gateway.stub import StubTriton, model_config
from tests.waiting import wait_until


def test_a_picture_is_classified_over_http(serve: Serve) -> None:
    answer = serve().classify()
    assert answer.status_code == 200
    assert answer.json()["results"][0]["predictions"][0]["label"] == "red"
    assert "Server" not in answer.headers


def test_what_is_over_the_limit_is_refused_at_once(serve: Serve, triton: StubTriton) -> None:
    running = serve(threads=1)
    running.admission.limit = 1
    running.admission.seconds_per_picture = 3.2
    with held_request(running, triton) as results, requests.Session() as session:
        for _ in range(2):
            refused = session.post(f"{running.url}/predict", data={"image": "x"}, timeout=10)
            assert refused.status_code == 503
            assert refused.headers["Retry-After"] == "4"
            assert refused.json()["success"] is False
            assert refused.json()["error"]["code"] == "overloaded"
        assert session.get(f"{running.url}/healthz", timeout=10).status_code == 200
        metrics = session.get(f"{running.url}/metrics", timeout=10).text
        assert 'edgelens_rejections_total{reason="overloaded"} 2.0' in metrics
    assert results[0].status_code == 200
    assert running.admission.in_flight == 0


def test_who_only_asks_for_the_methods_needs_no_place(serve: Serve) -> None:
    running = serve()
    running.admission.limit = 0
    assert running.classify().status_code == 503
    asked = requests.options(f"{running.url}/v1/classify", timeout=20)
    assert (asked.status_code, "POST" in asked.headers["Allow"]) == (200, True)


def test_a_model_that_can_have_no_threads_is_refused_and_leaves_none(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = serve(threads=4)
    before = set(threading.enumerate())
    start = threading.Thread.start

    def start_two(thread: threading.Thread) -> None:
        if thread.name == "waitress-2":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_two)
        running.classify()
        refused = running.classify()
    assert refused.status_code == 503
    assert caplog.messages == [NO_THREADS]
    assert "no more threads" in refused.json()["error"]["message"]
    wait_until(lambda: not set(threading.enumerate()) - before, "those it had have ended", 20)
    assert running.classify().status_code == 200


def test_a_slow_model_takes_no_threads_and_no_places_of_others(
    serve: Serve, triton: StubTriton
) -> None:
    triton.configs["shades", "1"] = model_config("shades")
    running = serve(threads=1)
    running.admission.limit = 1
    with held_request(running, triton):
        triton.hold = None  # the others are fast
        assert running.classify().status_code == 503
        other = running.classify(params={"model": "shades"})
        assert (other.status_code, other.json()["model"]) == (200, "shades")


def test_models_that_nobody_knows_share_one_queue(serve: Serve, triton: StubTriton) -> None:
    running = serve(threads=1)
    with held_request(running, triton):
        for name in ("flowers", "birds", "<b>"):
            assert running.classify(params={"model": name}).status_code in (400, 404)
    assert running.services.admissions.by_model().keys() == {"", "colours"}


def test_models_that_are_gone_leave_no_threads_behind(
    serve: Serve, triton: StubTriton, clock: Clock
) -> None:
    running = serve(threads=2)
    catalog = running.services.catalog
    catalog._clock = clock
    running.classify(params={"model": "unknown"})
    running.classify()
    before = set(threading.enumerate())
    for name in ("monday", "tuesday"):
        triton.configs[name, "1"] = model_config(name)
        catalog.refresh()
        assert running.classify(params={"model": name}).status_code == 200
        del triton.configs[name, "1"]
        catalog.refresh()
        clock.now += REMEMBER_SECONDS
        catalog.refresh()
    assert set(threading.enumerate()) > before
    maintain(running)
    wait_until(lambda: set(threading.enumerate()) == before, "their threads have ended", 20)
    assert running.services.admissions.by_model().keys() == {"", "colours"}
    assert catalog.remembered() == ["colours"]


def test_a_model_that_may_return_or_is_asked_keeps_its_threads(
    serve: Serve, triton: StubTriton, clock: Clock
) -> None:
    running = serve(threads=1)
    catalog, admission = running.services.catalog, running.admission
    catalog._clock = clock
    catalog.refresh()
    running.classify()
    with held_request(running, triton) as results:
        del triton.configs["colours", "1"]
        clock.now += REMEMBER_SECONDS
        catalog.refresh()
        await_maintenance(running)
        assert running.admission is admission
    assert results[0].status_code == 200
    triton.configs["colours", "1"] = model_config("colours")
    catalog.refresh()
    del triton.configs["colours", "1"]
    catalog.refresh()
    await_maintenance(running)
    assert running.admission is admission


def test_a_waiting_client_that_hangs_up_frees_its_place(serve: Serve, triton: StubTriton) -> None:
    running = serve(threads=1)
    running.admission.limit = 2
    with held_request(running, triton) as results:
        waiting = running.connect()
        waiting.sendall(raw_classify())
        wait_until(lambda: running.admission.in_flight == 2, "the second one waits", 10)
        assert running.classify().status_code == 503
        waiting.close()
        wait_until(lambda: running.admission.in_flight == 1, "its place is free", 10)
        third, more = in_background(running.classify)
        wait_until(lambda: any(c.connected for c in queued(running)), "its place is taken", 10)
    third.join(20)
    assert [results[0].status_code, more[0].status_code] == [200, 200]
    assert len(triton.batches) == 2


def test_a_client_over_its_share_whose_waiting_request_hung_up_has_room_again(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1, trusted_proxy="*")
    running.admission.limit = 2
    hold = hold_inferences(triton)
    first, _ = in_background(lambda: post_as(running, "10.0.0.1"))
    assert triton.entered.acquire(timeout=20)
    with running.connect() as waiting:
        waiting.sendall(raw_classify().replace(b"\r\n", b"\r\nX-Forwarded-For: 10.0.0.2\r\n", 1))
        wait_until(lambda: running.admission.in_flight == 2, "the second waits", 20)
        assert post_as(running, "10.0.0.2").status_code == 429
    wait_until(lambda: running.admission.in_flight == 1, "its place is free", 20)
    again, results = in_background(lambda: post_as(running, "10.0.0.2"))
    wait_until(lambda: any(c.connected for c in queued(running)), "its place is taken", 20)
    hold.set()
    first.join(20)
    again.join(20)
    assert results[0].status_code == 200


def test_a_request_that_was_told_its_mistake_holds_no_place_any_more(serve: Serve) -> None:
    running = serve()
    running.admission.limit = 1
    mistaken = raw_classify().replace(b"/v1/classify", b"/v1/classify?top_k=x")
    last = raw_classify().replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    answers = running.say(mistaken + last)
    assert (answers.count(b"HTTP/1.1 400 "), answers.count(b"HTTP/1.1 200 ")) == (1, 1)


def test_a_request_past_its_deadline_is_dropped_before_inference(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    with held_request(running, triton):
        second, late = in_background(running.classify)
        wait_until(lambda: queued(running), "the second one waits", 10)
        queued(running)[0].requests[0].ticket.deadline.start -= 60
    second.join(20)
    assert late[0].status_code == 504
    assert late[0].json()["error"]["code"] == "deadline_exceeded"
    assert len(triton.batches) == 1


def test_a_hanging_triton_keeps_nobody_waiting_for_a_thread(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    with held_request(running, triton) as results:
        triton.hold, triton.failure = None, DeadlineExceeded("late")
        running.services.readiness.probe()
        refused = running.classify()
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert refused.json()["error"]["code"] == "triton_unavailable"
        assert results == []  # so there was no thread for the second one


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    last = b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = serve().say(b"GET /healthz HTTP/1.1\r\n\r\n" + last)
    assert answer.index(b'{"status":"ok"}') < answer.index(b"not_found")


def test_a_page_that_has_not_changed_leaves_the_connection_open(serve: Serve) -> None:
    running = serve()
    with requests.Session() as session:
        tag = session.get(f"{running.url}/", timeout=20).headers["ETag"]
        for _ in range(2):
            again = session.get(f"{running.url}/", headers={"If-None-Match": tag}, timeout=20)
            assert (again.status_code, again.content) == (304, b"")
            assert "Connection" not in again.headers
        assert len(running.server.active_channels) == 1
        last = {"If-None-Match": tag, "Connection": "close"}
        closed = session.get(f"{running.url}/", headers=last, timeout=20)
        assert closed.headers["Connection"] == "close"
    old = f"GET / HTTP/1.0\r\nIf-None-Match: {tag}\r\n\r\n"
    assert b"\r\nConnection: close\r\n" in running.say(old.encode())


def test_the_loop_is_woken_however_often_without_waiting(serve: Serve) -> None:
    running = serve()
    running.server.stop()
    running.thread.join(20)  # now nobody empties the pipe
    waking, _ = in_background(lambda: [running.server.pull_trigger() for _ in range(70_000)])
    waking.join(20)
    assert not waking.is_alive()
