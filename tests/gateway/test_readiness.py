"""Whether real inferences succeed."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from gateway.catalog import Catalog
from gateway.config import Settings
from gateway.errors import (
    DeadlineExceeded,
    EdgeLensError,
    InferenceFailed,
    ModelNotReady,
    Overloaded,
    TritonUnavailable,
    TritonUnreachable,
)
from gateway.labels import parse_classification
from gateway.readiness import PROBE_SECONDS, Readiness
from gateway.services import Services
from gateway.triton import Answer
from tests.gateway.clock import Clock
from tests.gateway.stub import Start, StubTriton, as_base64, model_config
from tests.waiting import wait_until


def is_woken(readiness: Readiness) -> bool:
    """Tell whether the next check follows at once, and reset that."""
    wake = readiness._background._wake
    woken = wake.is_set()
    wake.clear()
    return woken


class WatchedTriton(StubTriton):
    """Record the tensors that were sent; let something happen while they are inferred."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def infer(self, model: Any, version: str, tensors: Any, top_k: int, deadline: Any) -> Any:
        self.tensors.append(tensors[0])
        self.seconds.append(deadline.seconds)
        self.meanwhile()
        return super().infer(model, version, tensors, top_k, deadline)


@pytest.fixture
def triton() -> WatchedTriton:
    stub = WatchedTriton()
    stub.tensors, stub.seconds = [], []
    return stub


@pytest.fixture
def readiness(triton: WatchedTriton, clock: Clock) -> Readiness:
    catalog = Catalog(triton, "colours")
    catalog.refresh()
    return Readiness(catalog, triton, clock)


def serve_a_client(readiness: Readiness, triton: WatchedTriton, clock: Clock, more: float) -> None:
    """Let a client be answered, and Triton's count of inferred pictures grow by `more`."""
    clock.now += 1
    key = ("colours", "1")
    triton.inferred = {key: triton.inferred.get(key, 0) + more}
    readiness._catalog.refresh()
    readiness.succeeded("colours")
    clock.now += 1


def test_it_is_not_ready_before_an_inference_succeeded(readiness: Readiness) -> None:
    assert not readiness.is_ready()
    assert readiness.as_json()["status"] == "not_ready"
    readiness.probe()
    assert readiness.as_json() == {"status": "ready", "model": "colours"}


def test_a_model_of_the_smallest_pictures_gets_ready(clock: Clock) -> None:
    config = model_config("dots", width="1", height="1")
    config.input[0].dims[:] = [1, 1, 3]
    triton = StubTriton({("dots", "1"): config})
    catalog = Catalog(triton, "dots")
    catalog.refresh()
    readiness = Readiness(catalog, triton, clock)
    readiness.probe()
    assert readiness.is_ready()


def test_a_model_that_answers_logits_is_not_ready(
    readiness: Readiness, triton: WatchedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answer("1", [InferenceFailed("The model answers 12.3.")])
    monkeypatch.setattr(triton, "infer", lambda *_: answer)
    readiness.probe()
    assert readiness.as_json() == {"status": "not_ready", "reason": "The model answers 12.3."}
    readiness.require("colours")  # trying it is not in vain: the answer says what is wrong
    monkeypatch.undo()
    readiness.probe()
    assert readiness.is_ready()


def test_a_probe_measures_the_models_speed(triton: WatchedTriton, clock: Clock) -> None:
    catalog = Catalog(triton, "colours")
    catalog.refresh()
    measured: dict[str, float] = {}

    class SlowTriton(WatchedTriton):
        def infer(self, *arguments: Any) -> Any:
            clock.now += 0.25
            return triton.infer(*arguments)

    Readiness(catalog, SlowTriton(), clock, measured.__setitem__).probe()
    assert measured == {"colours": 0.25}


@pytest.mark.parametrize(("deadline", "seconds"), [(0.1, 5), (14, 5), (60, 20)])
def test_a_probe_may_take_as_long_as_a_picture_should(
    triton: WatchedTriton, deadline: float, seconds: float
) -> None:
    services = Services.build(Settings(model="colours", deadline_seconds=deadline), triton)
    services.catalog.refresh()
    services.readiness.probe()
    assert triton.seconds == [seconds]
    services.stop()


def test_a_success_counts_until_the_next_probe_has_had_its_time(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    readiness.probe()
    clock.now += PROBE_SECONDS + triton.seconds[0]
    assert readiness.is_ready()
    clock.now += PROBE_SECONDS + triton.seconds[0]
    assert not readiness.is_ready()


def test_traffic_that_a_cache_may_have_answered_proves_nothing(readiness: Readiness) -> None:
    readiness.succeeded("colours")
    assert not readiness.is_ready()


def test_a_model_that_infers_for_clients_is_not_probed(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    readiness.check()
    assert len(triton.tensors) == 1
    for more in (2, 1, 1, 1, 1, 1):  # the first probe is among the first two
        serve_a_client(readiness, triton, clock, more)
        readiness.check()
        assert readiness.is_ready()
    assert len(triton.tensors) == 1


def test_a_model_whose_clients_a_cache_answers_is_probed(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    for _ in range(3):
        serve_a_client(readiness, triton, clock, more=0)
        readiness.check()
    assert len(triton.tensors) == 3
    for more in (9, 0):  # what was inferred before proves nothing later
        serve_a_client(readiness, triton, clock, more)
        readiness.check()
    assert len(triton.tensors) == 4


def test_its_own_probe_is_no_proof_that_clients_are_answered(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    readiness.check()
    serve_a_client(readiness, triton, clock, more=1)
    readiness.check()
    assert len(triton.tensors) == 2


def test_what_is_inferred_for_others_is_no_proof_that_our_clients_are_answered(
    readiness: Readiness, triton: WatchedTriton
) -> None:
    readiness.check()
    triton.inferred = {("colours", "1"): 5}
    readiness._catalog.refresh()
    readiness.check()
    assert len(triton.tensors) == 2


def test_a_default_that_is_gone_is_a_failure_and_no_end(
    triton: WatchedTriton, clock: Clock
) -> None:
    catalog = Catalog(triton)
    catalog.refresh()
    readiness = Readiness(catalog, triton, clock)
    readiness.check()
    clock.now += 1
    readiness.succeeded("colours")
    kept = triton.configs.pop(("colours", "1"))
    clock.now += 5
    catalog.refresh()
    clock.now += 5
    catalog.refresh()
    assert catalog.models() == {}
    readiness.check()
    readiness.succeeded("colours")
    assert not readiness.is_ready()
    triton.configs["colours", "1"] = kept
    catalog.refresh()
    readiness.check()
    assert readiness.is_ready()


def test_clients_prove_nothing_while_inferences_fail(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    readiness.check()
    readiness.doubted()
    serve_a_client(readiness, triton, clock, more=5)
    readiness.check()
    assert len(triton.tensors) == 2


def test_a_full_queue_is_work_only_while_clients_are_answered(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    triton.failure = Overloaded("full")
    readiness.succeeded("another")
    readiness.probe()
    assert not readiness.is_ready()
    readiness.succeeded("colours")
    readiness.probe()
    assert readiness.is_ready()
    clock.now += readiness._fresh_seconds + 1
    readiness.probe()
    assert readiness.as_json() == {"status": "not_ready", "reason": "full"}


def test_a_failed_probe_says_why(readiness: Readiness, triton: WatchedTriton) -> None:
    readiness.probe()
    triton.failure = TritonUnavailable("the model's process died")
    readiness.probe()
    assert readiness.as_json() == {"status": "not_ready", "reason": "the model's process died"}
    triton.failure = None
    readiness.probe()
    assert readiness.is_ready()


def test_while_the_last_probe_failed_it_is_in_vain_to_ask(
    readiness: Readiness, triton: WatchedTriton
) -> None:
    readiness.require()
    for failure in (TritonUnavailable("away"), DeadlineExceeded("late")):
        triton.failure = failure
        readiness.probe()
        for model in ("", "colours"):
            with pytest.raises(TritonUnavailable, match=failure.message):
                readiness.require(model)
        triton.failure = None
        readiness.probe()
        readiness.require()


def test_a_client_that_is_answered_keeps_the_others_from_being_refused(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    """A probe may meet a frozen replica, or wait behind a long batch."""
    triton.failure = DeadlineExceeded("late")
    triton.meanwhile = lambda: readiness.succeeded("colours")
    readiness.probe()
    assert not readiness.is_ready()
    readiness.require()
    triton.meanwhile = lambda: None
    clock.now += 1
    readiness.probe()
    with pytest.raises(TritonUnavailable):
        readiness.require()
    readiness.succeeded("colours")
    readiness.require()


@pytest.mark.parametrize("failure", [InferenceFailed("refused"), Overloaded("full")], ids=str)
def test_a_probe_that_is_answered_by_a_refusal_refuses_nobody(
    readiness: Readiness, triton: WatchedTriton, failure: EdgeLensError
) -> None:
    triton.failure = failure
    readiness.probe()
    assert not readiness.is_ready()
    readiness.require()


def test_one_clients_failure_refuses_nobody_and_is_followed_by_a_probe_at_once(
    readiness: Readiness,
) -> None:
    readiness.probe()
    readiness.doubted()
    assert readiness.as_json()["reason"] == "Triton failed the last inference."
    readiness.require()
    assert is_woken(readiness)


def test_another_models_failure_leaves_this_gateway_ready(start: Start, triton: StubTriton) -> None:
    gateway = start()
    triton.configs["other", "1"] = model_config("other")
    gateway.services.catalog.refresh()
    triton.failure = TritonUnavailable("its process died")
    assert gateway.classify(query="?model=other").status_code == 503
    assert gateway.services.readiness.is_ready()
    assert is_woken(gateway.services.readiness)
    assert gateway.classify().status_code == 503
    assert not gateway.services.readiness.is_ready()


def test_other_models_are_asked_until_triton_itself_is_away(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    triton.failure = TritonUnavailable("the default's process died")
    readiness.probe()
    readiness.require("another")
    readiness._catalog.is_away = True
    with pytest.raises(TritonUnavailable):
        readiness.require("another")
    readiness.succeeded("another")
    readiness.require("another")
    with pytest.raises(TritonUnavailable):
        readiness.require("colours")


def test_a_lost_probe_is_followed_by_another_at_once(
    readiness: Readiness, triton: WatchedTriton
) -> None:
    readiness.probe()
    assert not is_woken(readiness)
    triton.failure = DeadlineExceeded("late")
    readiness.probe()
    assert is_woken(readiness)
    readiness.probe()
    assert not is_woken(readiness)


def test_a_draining_gateway_is_not_ready(readiness: Readiness) -> None:
    readiness.probe()
    readiness.draining = True
    assert readiness.as_json() == {
        "status": "not_ready",
        "reason": "The gateway is shutting down.",
    }


def test_no_two_probes_are_alike(readiness: Readiness, triton: WatchedTriton) -> None:
    for _ in range(300):
        readiness.probe()
    assert len({tensor.tobytes() for tensor in triton.tensors}) == 300


def test_the_probe_is_the_golden_picture(triton: WatchedTriton, clock: Clock) -> None:
    golden = cv2.imencode(".png", np.full((300, 300, 3), (1, 2, 200), np.uint8))[1].tobytes()
    triton.configs["colours", "1"] = model_config("colours", golden_picture=as_base64(golden))
    catalog = Catalog(triton, "colours")
    catalog.refresh()
    Readiness(catalog, triton, clock).probe()
    assert triton.tensors[0][100, 100].tolist() == [200, 2, 1]


def test_a_golden_picture_that_is_none_keeps_no_model_from_being_ready(
    triton: WatchedTriton, clock: Clock
) -> None:
    broken = model_config("colours", golden_picture=as_base64(b"GIF89a and no more"))
    triton.configs["colours", "1"] = broken
    catalog = Catalog(triton, "colours")
    catalog.refresh()
    readiness = Readiness(catalog, triton, clock)
    readiness.probe()
    assert readiness.is_ready()


def test_a_model_that_was_replaced_is_probed_with_what_it_takes(
    readiness: Readiness, triton: WatchedTriton
) -> None:
    readiness.probe()
    triton.configs["colours", "1"] = model_config("colours", width="100", height="100")
    triton.configs["colours", "1"].input[0].dims[:] = [100, 100, 3]
    readiness._catalog.refresh()
    readiness.probe()
    assert [tensor.shape for tensor in triton.tensors] == [(224, 224, 3), (100, 100, 3)]


def test_probes_follow_each_other_sooner_while_they_fail(
    readiness: Readiness, triton: WatchedTriton
) -> None:
    usual = readiness._check_again()
    triton.failure = TritonUnavailable("away")
    assert readiness._check_again() < usual


def test_doubt_is_settled_by_a_probe_at_once(readiness: Readiness, triton: WatchedTriton) -> None:
    readiness.probe()
    triton.tensors.clear()
    readiness.start()
    try:
        readiness.doubted()
        wait_until(lambda: triton.tensors, "a probe was sent", 10)
        wait_until(readiness.is_ready, "it is ready again", 10)
    finally:
        readiness.stop()


def test_a_start_is_no_news_but_a_loss_is(
    readiness: Readiness, triton: WatchedTriton, caplog: pytest.LogCaptureFixture
) -> None:
    triton.failure = TritonUnavailable("away")
    readiness.probe()
    triton.failure = None
    readiness.probe()
    assert not caplog.messages
    for failure in (TritonUnavailable("away"), None, None) * 2:
        triton.failure = failure
        readiness.probe()
    assert caplog.messages == ["not ready: away", "ready again"] * 2


def test_a_model_that_fails_is_told_once_with_what_triton_said(
    readiness: Readiness, triton: WatchedTriton, caplog: pytest.LogCaptureFixture
) -> None:
    readiness.probe()
    triton.failure = InferenceFailed("Triton refused it.", said="vgg16: 'no memory'")
    for _ in range(3):
        readiness.probe()
    assert caplog.messages == ["not ready: Triton refused it. vgg16: 'no memory'"]
    assert readiness.as_json()["reason"] == "Triton refused it."


def test_a_model_that_answers_logits_is_told_once(
    readiness: Readiness, triton: WatchedTriton, caplog: pytest.LogCaptureFixture
) -> None:
    """No two probes are alike, and neither are its answers."""
    readiness.probe()
    for score in ("12.3", "12.4"):
        with pytest.raises(InferenceFailed) as failure:
            parse_classification(f"{score}:0:red")
        triton.failure = failure.value
        readiness.probe()
    (told,) = caplog.messages
    assert told.endswith(" It answers 12.3.")


def test_each_reason_of_one_outage_is_told_once(
    readiness: Readiness, triton: WatchedTriton, caplog: pytest.LogCaptureFixture
) -> None:
    readiness.probe()
    for failure in (TritonUnavailable("away"), ModelNotReady("no model"), None) * 2:
        for _ in range(3):
            triton.failure = failure
            readiness.probe()
    told = ["not ready: away", "not ready: no model", "ready again"]
    assert caplog.messages == told * 2


def test_a_start_in_vain_is_told_once(
    readiness: Readiness, triton: WatchedTriton, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    triton.failure = TritonUnavailable("away")
    for _ in range(40):
        readiness.probe()
        clock.now += 1
    triton.failure = None
    readiness.probe()
    assert caplog.messages == ["not ready: away", "ready"]


def test_a_connection_that_stays_silent_is_left_for_a_new_one(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    triton.failure = DeadlineExceeded("late")
    readiness.probe()
    assert triton.connections == 1
    clock.now += 1
    readiness.probe()
    assert triton.connections == 2
    assert triton.cut
    readiness.succeeded("colours")  # meanwhile another client was answered
    readiness.probe()
    assert triton.connections == 2


def test_another_address_is_looked_for_once_what_was_under_way_has_had_its_time(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    readiness.probe()
    triton.failure = TritonUnreachable("nobody listens")
    tried = []
    for _ in range(8):
        clock.now += 1
        readiness.probe()
        tried.append(triton.connections)
    assert tried == [1, 1, 1, 1, 2, 3, 4, 5]
    assert not triton.cut  # a Triton that is ending listens no more, and answers what is under way


def test_a_connection_on_which_a_refusal_comes_is_kept(
    readiness: Readiness, triton: WatchedTriton, clock: Clock
) -> None:
    triton.failure = TritonUnavailable("away")
    for _ in range(3):
        readiness.probe()
        clock.now += 1
    assert triton.connections == 1
