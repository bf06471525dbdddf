"""The launcher's own endpoint."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from prometheus_client import Gauge

from inference.supervision.health import MOST_THREADS, HealthEndpoint
from inference.supervision.state import Finding, State
from tests.inference.calls import call
from tests.waiting import wait_until


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def port(state: State) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    endpoint = HealthEndpoint("127.0.0.1", number, state)
    endpoint.start()
    yield number
    endpoint.close()


def test_server_is_not_ready_before_its_first_inference(port: int) -> None:
    answer = call(port, "/readyz")
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "2"
    assert json.loads(answer.body)["problems"] == ["Triton is starting."]


def test_server_is_ready_when_every_model_infers(port: int, state: State) -> None:
    state.report([Finding("a", "1"), Finding("b", "2")])
    answer = call(port, "/readyz")
    assert answer.status == 200
    assert json.loads(answer.body)["models"][1] == {"name": "b", "version": "2", "infers": True}


def test_one_model_that_does_not_infer_is_enough(port: int, state: State) -> None:
    state.report([Finding("a", "1"), Finding("b", "2", "it hangs")])
    answer = call(port, "/readyz")
    assert answer.status == 503
    assert json.loads(answer.body)["problems"] == ["b: it hangs"]


def test_a_model_that_nothing_could_heal_does_not_keep_requests_from_the_others(
    port: int, state: State
) -> None:
    state.report([Finding("a", "1"), Finding("b", "", "it is gone")], {"b"})
    answer = call(port, "/readyz")
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told["status"] == "ready"
    assert told["problems"] == ["b: it is gone"]
    assert [model["infers"] for model in told["models"]] == [True, False]


@pytest.mark.parametrize(
    "findings",
    [
        [Finding("a", "", "it is gone")],
        [Finding("a", "", "it is gone"), Finding("a_decode", "1")],
        [Finding("a", "", "it is gone"), Finding("b", "1", "it hangs"), Finding("c", "1")],
    ],
    ids=["the only one", "the only classifier", "beside one that is being healed"],
)
def test_a_server_whose_other_models_serve_nobody_is_not_ready(
    port: int, state: State, findings: list[Finding]
) -> None:
    state.report(findings, {"a"})
    assert call(port, "/readyz").status == 503


def test_server_without_models_is_not_ready(port: int, state: State) -> None:
    state.report([])
    assert call(port, "/readyz").status == 503


def test_trouble_of_the_whole_server_outweighs_the_models(port: int, state: State) -> None:
    state.report([Finding("a", "1")])
    state.trouble("Triton is stopping.")
    answer = call(port, "/readyz")
    assert answer.status == 503
    assert json.loads(answer.body) == {
        "status": "not_ready",
        "models": [{"name": "a", "version": "1", "infers": False}],
        "problems": ["Triton is stopping."],
    }
    assert (
        'edgelens_model_healthy{model="a",version="1"} 0.0' in call(port, "/metrics").body.decode()
    )


def test_process_is_healthy_whatever_the_models_do(port: int) -> None:
    assert call(port, "/healthz").status == 200


def test_unknown_path_is_not_found(port: int) -> None:
    assert call(port, "/v2/health/ready").status == 404


def test_metrics_show_models_reloads_and_restarts(port: int, state: State) -> None:
    state.report([Finding("a", "1"), Finding("b", "2", "it hangs")])
    state.metrics.restarts.inc()
    lines = call(port, "/metrics").body.decode().splitlines()
    assert 'edgelens_model_healthy{model="a",version="1"} 1.0' in lines
    assert 'edgelens_model_healthy{model="b",version="2"} 0.0' in lines
    assert 'edgelens_probe_failures_total{model="a"} 0.0' in lines
    assert 'edgelens_probe_failures_total{model="b"} 1.0' in lines
    assert 'edgelens_model_reloads_total{model="a"} 0.0' in lines
    assert "edgelens_triton_restarts_total 1.0" in lines
    assert "edgelens_inference_ready 0.0" in lines
    assert any(line.startswith("process_start_time_seconds ") for line in lines)  # for an alert
    assert not [line for line in lines if "_created" in line]


def test_metrics_forget_models_that_were_unloaded(port: int, state: State) -> None:
    state.report([Finding("a", "1")])
    state.report([])
    assert 'edgelens_model_healthy{model="a"' not in call(port, "/metrics").body.decode()


def test_metrics_show_every_model_also_while_a_report_is_taken_over(
    port: int, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [Finding("a", "1"), Finding("b", "2")]
    state.report(findings)
    seen = []
    write = state.metrics.healthy.labels

    def read_and_write(*names: str) -> Gauge:
        seen.append(call(port, "/metrics").body.count(b"edgelens_model_healthy{"))
        return write(*names)

    monkeypatch.setattr(state.metrics.healthy, "labels", read_and_write)
    state.report(findings)
    assert seen == [2, 2]


def test_connections_that_say_nothing_leave_open_files_for_the_watchdog(port: int) -> None:
    with contextlib.ExitStack() as stack:

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))

        first, *_, last = [connect() for _ in range(MOST_THREADS)]
        assert last.recv(1) == b""
        first.setblocking(False)
        with pytest.raises(BlockingIOError):  # it is held until its time is up
            first.recv(1)
    wait_until(lambda: threading.active_count() < MOST_THREADS, "they are gone", 20)
    assert call(port, "/healthz").status == 200
