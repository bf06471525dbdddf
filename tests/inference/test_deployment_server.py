"""How long a deployment waits for what the server has to end, and what it says if that fails."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from inference.deployment import server as deployment_server
from inference.deployment.errors import DeployError
from inference.deployment.server import DRAIN_SECONDS, FREE_SECONDS, QUIET_SECONDS, Server
from inference.errors import TritonAway, TritonError, TritonRefused


class Triton:
    """Version 1 answers requests, or is unloaded, until a moment; version 2's process has died."""

    def __init__(self, until: float, end: str = "success") -> None:
        self.now, self.until, self.end, self.unloaded = 0.0, until, end, False

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def statistics(self, model: str, version: str, timeout: float) -> list[dict[str, Any]]:
        count = {"success": 7, "fail": 7} | {self.end: min(self.now, self.until) * 10}
        return [{"inference_stats": {end: {"count": number} for end, number in count.items()}}]

    def unload(self, model: str, timeout: float) -> None:
        self.unloaded = True

    def index(self, timeout: float) -> list[dict[str, str]]:
        gone = {"state": "UNAVAILABLE", "reason": "unloaded"} if self.now >= self.until else {}
        first = ({"state": "UNLOADING"} | gone) if self.unloaded else {"state": "READY"}
        states = {"1": first, "2": {"state": "UNLOADING"}}
        other = {"name": "dog", "version": "3", "state": "READY"}
        own = [{"name": "cat", "version": number} | state for number, state in states.items()]
        return [other, {"name": "empty"}, *own]


def waiting(triton: Triton, monkeypatch: pytest.MonkeyPatch) -> Server:
    clock = SimpleNamespace(monotonic=lambda: triton.now, sleep=triton.sleep)
    monkeypatch.setattr(deployment_server, "time", clock)
    return Server(triton, triton, None, print)


@pytest.mark.parametrize(
    ("until", "end", "waited"),
    [
        (0, "success", QUIET_SECONDS),
        (12, "success", 12 + QUIET_SECONDS),
        (12, "fail", 12 + QUIET_SECONDS),
        (math.inf, "success", DRAIN_SECONDS),
    ],
)
def test_a_version_is_quiet_once_it_has_ended_no_request_for_a_while(
    monkeypatch: pytest.MonkeyPatch, until: float, end: str, waited: float
) -> None:
    triton = Triton(until, end)
    waiting(triton, monkeypatch).await_quiet("cat", 1)
    assert triton.now == pytest.approx(waited, abs=0.3)


@pytest.mark.parametrize(("until", "waited"), [(0, 0), (3, 3), (math.inf, FREE_SECONDS)])
def test_what_was_ready_is_gone_before_its_memory_counts_as_free(
    monkeypatch: pytest.MonkeyPatch, until: float, waited: float
) -> None:
    triton = Triton(until)
    waiting(triton, monkeypatch).unload("cat")
    assert triton.unloaded
    assert triton.now == pytest.approx(waited, abs=0.3)


def test_a_model_that_was_never_loaded_has_no_versions() -> None:
    assert Server(Triton(0), Triton(0), None, print).versions("empty") == set()


class Failing:
    """Answers every call with this error."""

    def __init__(self, error: TritonError) -> None:
        self.error = error

    def load(self, *model: Any, **timeout: float) -> Any:
        raise self.error

    index = unload = statistics = load


@pytest.mark.parametrize(
    "call",
    [
        lambda server: server.versions("cat"),
        lambda server: server.finds("cat"),
        lambda server: server.load("cat"),
        lambda server: server.await_quiet("cat", 1),
    ],
    ids=["list", "find", "load", "await"],
)
def test_a_server_that_is_away_fails_the_deployment(call: Callable[[Server], Any]) -> None:
    failing = Failing(TritonAway("connection refused"))
    with pytest.raises(DeployError, match="connection refused"):
        call(Server(failing, failing, None, print))


def test_a_server_that_ends_while_it_unloads_fails_the_deployment() -> None:
    with pytest.raises(DeployError, match="connection refused"):
        Server(Triton(0), Failing(TritonAway("connection refused")), None, print).unload("cat")


def test_what_is_not_loaded_need_not_be_unloaded() -> None:
    refused = TritonRefused(400, "failed to unload 'cat', model is not loaded")
    Server(Triton(0), Failing(refused), None, print).unload("cat")
