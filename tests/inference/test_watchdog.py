"""What the watchdog concludes from Triton's answers."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from inference.errors import TritonAway, TritonError, TritonRefused, TritonSilent
from inference.supervision.state import Finding
from inference.supervision.watchdog import PROVED_SECONDS, Watchdog

CONFIG = {
    "name": "m",
    "max_batch_size": 1,
    "input": [{"name": "image", "data_type": "TYPE_UINT8", "dims": ["4"]}],
}
SILENT = TritonSilent("no answer within 5 s")
FULL = TritonRefused(503, "Exceeds maximum queue size")
FAILED = TritonRefused(500, "RuntimeError: on purpose")
DEAD = TritonRefused(500, "Stub process 'm_0_0' is not healthy.")


class ScriptedTriton:
    """Answers like Triton; tests set what the next inference and counters are."""

    def __init__(self) -> None:
        self.answer: TritonError | None = None
        self.models = [("m", "1")]
        self.count = 0
        self.now = 0.0
        self.probes = 0
        self.progress = 0  # inferences of others during the next calls
        self.moving = "m"  # the model that makes them
        self.seconds_per_batch = 0.0
        self.seconds_to_fail = 6.0
        self.config_answer: dict | TritonError = CONFIG

    def loaded(self, timeout: float) -> list[tuple[str, str]]:
        return self.models

    def config(self, model: str, version: str, timeout: float = 5.0) -> dict:
        if isinstance(self.config_answer, TritonError):
            raise self.config_answer
        return self.config_answer

    def statistics(self, model: str, version: str, timeout: float) -> list[dict]:
        if model == self.moving:
            self.count += self.progress
        batch = {"compute_infer": {"count": 2, "ns": 2e9 * self.seconds_per_batch}}
        unused = {"compute_infer": {"count": 0, "ns": 0}}
        return [{"inference_count": str(self.count), "batch_stats": [batch, unused]}]

    def infer(self, model: str, version: str, body: bytes, head: int, timeout: float) -> None:
        self.probes += 1
        if self.answer:
            self.now += self.seconds_to_fail
            raise self.answer
        self.count += 1


class ScriptedStubs:
    """Answers for the models' processes."""

    lives, works = 1, False
    used, share = 0.0, 1.0  # the processor time its process had, and what it gets of each call's

    def is_python_based(self, backend: str) -> bool:
        return backend == "python"

    def counts(self) -> Counter[tuple[str, str]]:
        return Counter({("m", "1"): self.lives})

    def is_working(self, model: str, version: str) -> bool:
        return self.works

    def computed(self, model: str, version: str) -> float:
        self.used += self.share * 6.0
        return self.used


@pytest.fixture
def triton() -> ScriptedTriton:
    return ScriptedTriton()


@pytest.fixture
def stubs() -> ScriptedStubs:
    return ScriptedStubs()


@pytest.fixture
def watchdog(triton: ScriptedTriton, stubs: ScriptedStubs) -> Iterator[Watchdog]:
    """A watchdog with a time-out of 5 s, on a clock that a silent call advances by 6 s."""
    watchdog = Watchdog(triton, stubs, timeout=5.0, clock=lambda: triton.now)
    yield watchdog
    watchdog.close()


def problem(watchdog: Watchdog) -> Finding:
    (finding,) = watchdog.look()
    return finding


def test_model_that_answers_infers(watchdog: Watchdog) -> None:
    assert problem(watchdog) == Finding("m", "1")


def test_models_are_watched_on_if_triton_cannot_say_what_it_serves(
    watchdog: Watchdog, triton: ScriptedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(timeout: float) -> list[tuple[str, str]]:
        raise TritonRefused(500, "requested model version is not found")

    watchdog.look()
    monkeypatch.setattr(triton, "loaded", refuse)
    assert watchdog.look() == [Finding("m", "1")]
    triton.answer = DEAD
    assert watchdog.look()[0].problem


def test_a_triton_that_never_said_what_it_serves_refuses_the_launcher(
    watchdog: Watchdog, triton: ScriptedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(timeout: float) -> list[tuple[str, str]]:
        raise TritonRefused(403, "This API is restricted")

    monkeypatch.setattr(triton, "loaded", refuse)
    with pytest.raises(TritonRefused):
        watchdog.look()


def test_model_that_infers_for_clients_is_not_probed(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    watchdog.look()
    triton.progress = 1
    for _ in range(5):
        assert watchdog.look() == [Finding("m", "1", None)]
    assert triton.probes == 1
    triton.progress = 0
    watchdog.look()
    assert triton.probes == 2
    triton.progress, stubs.lives, triton.answer = 1, False, DEAD
    assert watchdog.look()[0].problem


def test_inferences_that_triton_counts_although_they_fail_do_not_prove_a_model_for_long(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    watchdog.look()
    triton.answer, triton.progress = FAILED, 1
    assert problem(watchdog).problem is None
    triton.now += PROVED_SECONDS
    assert "on purpose" in str(problem(watchdog).problem)


def test_a_model_that_is_busy_for_long_is_probed_now_and_then(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    watchdog.look()
    triton.answer, triton.progress = SILENT, 1
    for _ in range(3):
        triton.now += PROVED_SECONDS
        for _ in range(5):
            assert problem(watchdog) == Finding("m", "1")
    assert triton.probes == 4


def test_ensemble_that_has_inferred_is_left_to_its_steps(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    step = {"model_name": "step"}
    triton.config_answer = CONFIG | {"ensemble_scheduling": {"step": [step]}}
    for _ in range(3):
        assert watchdog.look()[0].problem is None
    assert triton.probes == 1
    watchdog.forget("step")
    watchdog.look()
    assert triton.probes == 2


def test_silent_model_hangs(watchdog: Watchdog, triton: ScriptedTriton) -> None:
    watchdog.look()
    triton.answer = SILENT
    assert problem(watchdog).hung
    assert "no answer within 5 s" in str(problem(watchdog).problem)


@pytest.mark.parametrize("answer", [SILENT, FULL], ids=["silent", "queue full"])
def test_busy_model_is_not_ill(
    watchdog: Watchdog, triton: ScriptedTriton, answer: TritonError
) -> None:
    triton.answer, triton.progress = answer, 1
    assert problem(watchdog).problem is None


def test_ensemble_whose_step_is_busy_is_not_ill(watchdog: Watchdog, triton: ScriptedTriton) -> None:
    triton.config_answer = {**CONFIG, "ensemble_scheduling": {"step": [{"model_name": "step"}]}}
    triton.answer, triton.progress, triton.moving = SILENT, 1, "step"
    assert problem(watchdog).problem is None


def test_ensemble_whose_step_computes_is_not_ill(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    triton.config_answer = {**CONFIG, "ensemble_scheduling": {"step": [{"model_name": "step"}]}}
    triton.answer = SILENT
    stubs.is_working = lambda model, version: model == "step"
    assert problem(watchdog).problem is None


def test_a_model_that_infers_just_after_its_time_is_not_ill(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    """As its process is looked at, it has just done what it was asked, and rests."""
    watchdog.look()
    triton.answer = SILENT

    def rests_again(model: str, version: str) -> bool:
        triton.count += 1
        return False

    stubs.is_working = rests_again
    assert problem(watchdog).problem is None


def test_slow_model_is_neither_ill_nor_proved_before_its_first_inference(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    triton.answer, stubs.works = SILENT, True
    assert problem(watchdog) == Finding("m", "1", unproved=True)
    triton.answer = None
    assert problem(watchdog) == Finding("m", "1")


def test_full_queue_that_does_not_move_is_ill(watchdog: Watchdog, triton: ScriptedTriton) -> None:
    triton.answer = FULL
    assert problem(watchdog).hung


def test_full_queue_gets_the_time_of_a_probe(watchdog: Watchdog, triton: ScriptedTriton) -> None:
    triton.answer, triton.seconds_to_fail = FULL, 1.0
    while triton.now < 4.0:
        assert problem(watchdog).problem is None
    assert problem(watchdog).hung


@pytest.mark.parametrize("works", [False, True])
def test_slow_model_gets_the_time_of_three_batches(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs, works: bool
) -> None:
    triton.answer, triton.seconds_per_batch, stubs.works = SILENT, 60.0, works
    while triton.now < 174.0:
        assert problem(watchdog).problem is None
    assert problem(watchdog).hung


@pytest.mark.parametrize("status", [429, 503, 504])
def test_a_model_whose_queue_is_full_gets_the_time_of_its_batches(
    watchdog: Watchdog, triton: ScriptedTriton, status: int
) -> None:
    watchdog.look()
    triton.answer, triton.seconds_per_batch = TritonRefused(status, "full"), 60.0
    assert problem(watchdog).problem is None


@pytest.mark.parametrize("probed", [True, False], ids=["during a probe", "in place of one"])
def test_the_time_that_a_model_gets_begins_with_the_last_inference_of_others(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs, probed: bool
) -> None:
    if not probed:
        watchdog.look()
    triton.answer, triton.progress, triton.now, stubs.works = SILENT, 1, 20.0, True
    watchdog.look()
    triton.progress = 0
    assert problem(watchdog).problem is None
    assert problem(watchdog).problem is None
    assert problem(watchdog).hung


@pytest.mark.parametrize(
    ("share", "seconds"), [(2.0, 12), (1.0, 12), (0.2, 54)], ids=["two cores", "one", "a fifth"]
)
def test_a_model_that_computes_gets_time_as_it_gets_processors_but_not_for_ever(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs, share: float, seconds: int
) -> None:
    triton.answer, stubs.works, stubs.share = SILENT, True, share
    while triton.now < seconds:
        assert problem(watchdog).problem is None
    assert problem(watchdog).hung


def test_what_a_model_computed_for_others_is_not_held_against_it(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    triton.answer, stubs.works, stubs.share = SILENT, True, 0.2
    for _ in range(3):
        for _ in range(5):
            assert problem(watchdog).problem is None
        triton.progress = 1
        assert problem(watchdog).problem is None
        triton.progress = 0


def test_dead_stub_is_ill_at_once(watchdog: Watchdog, triton: ScriptedTriton) -> None:
    triton.answer = DEAD
    assert "Stub process" in str(problem(watchdog).problem)
    assert not problem(watchdog).hung


def test_model_that_inferred_before_and_fails_is_ill(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    watchdog.look()
    triton.answer = FAILED
    assert "on purpose" in str(problem(watchdog).problem)


@pytest.mark.parametrize("lives", [True, False])
def test_model_that_never_took_the_probe_is_judged_by_its_process(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs, lives: bool
) -> None:
    triton.answer, stubs.lives = FAILED, lives
    assert (problem(watchdog).problem is None) == lives


@pytest.mark.parametrize(
    "config",
    [{"ensemble_scheduling": {"step": [{"model_name": "step"}]}}, {"backend": "onnxruntime"}],
    ids=["ensemble", "native"],
)
def test_what_has_no_process_is_not_missed_for_refusing_the_probe(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs, config: dict
) -> None:
    triton.config_answer, triton.answer, stubs.lives = CONFIG | config, FAILED, 0
    assert problem(watchdog) == Finding("m", "1")


def test_cached_model_whose_probes_are_all_alike_is_judged_by_its_process_too(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    numbers = {"name": "ids", "data_type": "TYPE_INT32", "dims": ["4"]}
    triton.config_answer = CONFIG | {"input": [numbers], "response_cache": {"enable": True}}
    assert problem(watchdog) == Finding("m", "1")
    stubs.lives = 0  # the cache keeps answering
    assert problem(watchdog).problem


def test_one_of_several_processes_is_missed_while_the_others_answer(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    group = {"count": 2, "kind": "KIND_CPU"}
    triton.config_answer, stubs.lives = CONFIG | {"instance_group": [group]}, 2
    assert problem(watchdog) == Finding("m", "1")
    triton.progress, stubs.lives = 1, 1
    assert problem(watchdog).problem == "1 of its 2 processes have ended"
    triton.config_answer = CONFIG  # it was reloaded, with one
    assert problem(watchdog) == Finding("m", "1")
    triton.config_answer, stubs.lives = CONFIG | {"instance_group": [group]}, 2  # and with two
    assert problem(watchdog) == Finding("m", "1")
    stubs.lives = 1
    assert problem(watchdog).problem == "1 of its 2 processes have ended"


def test_processes_that_start_while_the_configuration_is_fetched_are_counted(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    stubs.lives = 0

    def config(model: str, version: str, timeout: float) -> dict:
        stubs.lives = 1
        return CONFIG

    triton.config = config
    assert problem(watchdog) == Finding("m", "1")


@pytest.mark.parametrize(
    "forget",
    [lambda watchdog: watchdog.forget("m"), Watchdog.forget_all],
    ids=["reload", "restart of Triton"],
)
def test_model_that_inferred_and_fails_since_it_was_loaded_again_is_ill_until_it_infers(
    watchdog: Watchdog, triton: ScriptedTriton, forget: Callable[[Watchdog], None]
) -> None:
    watchdog.look()
    triton.answer = FAILED
    for _ in range(2):
        forget(watchdog)
        assert "on purpose" in str(problem(watchdog).problem)
    triton.answer = None
    assert problem(watchdog).problem is None


def test_model_whose_probe_has_changed_since_it_was_loaded_again_need_not_take_it(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    """As that of a decoder, which has the picture of its classifier, if that is loaded."""
    watchdog.look()
    watchdog.forget_all()
    triton.answer = FAILED
    triton.config_answer = CONFIG | {"input": [{**CONFIG["input"][0], "dims": ["5"]}]}
    assert problem(watchdog).problem is None


def test_model_that_others_loaded_again_is_looked_at_afresh(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    watchdog.look()
    triton.answer, triton.models = FAILED, []
    watchdog.look()
    triton.models = [("m", "1")]
    assert problem(watchdog).problem is None


def test_model_that_was_unloaded_meanwhile_has_no_problem(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    answers = iter([[("m", "1"), ("other", "1")], [("other", "1")]])
    triton.loaded = lambda timeout: next(answers)
    stubs.counts = lambda: Counter({("other", "1"): 1})
    assert watchdog.look() == [Finding("other", "1")]


def test_model_that_no_probe_fits_is_judged_by_its_process(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    triton.config_answer = CONFIG | {"sequence_batching": {}, "backend": "python"}
    assert problem(watchdog) == Finding("m", "1")
    assert triton.probes == 0
    stubs.lives = 0
    assert problem(watchdog).problem == "its Python process has ended"


def test_models_that_triton_may_answer_for_from_its_cache_are_known(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    triton.models = [("m", "1"), ("m", "2"), ("other", "1")]
    cached = {"response_cache": {"enable": True}}
    triton.config = lambda model, version, timeout: CONFIG | (cached if version == "2" else {})
    watchdog.look()
    assert watchdog.is_cached("m")
    assert not watchdog.is_cached("other")


def test_a_version_under_test_is_left_to_its_deployment(
    watchdog: Watchdog, triton: ScriptedTriton, stubs: ScriptedStubs
) -> None:
    triton.models = [("m", "1"), (".m_candidate", "2")]
    triton.answer, stubs.lives = DEAD, False
    assert [finding.model for finding in watchdog.look()] == ["m"]


@pytest.mark.parametrize("error", [TritonAway("closed"), TritonSilent("no answer")])
def test_silence_about_a_models_configuration_is_tritons_fault(
    watchdog: Watchdog, triton: ScriptedTriton, error: TritonError
) -> None:
    triton.config_answer = error
    with pytest.raises(type(error)):
        watchdog.look()


def test_the_steps_of_an_ensemble_are_known_while_it_is_not_loaded(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    steps = {"ensemble_scheduling": {"step": [{"model_name": "step"}]}}
    triton.config_answer = CONFIG | steps
    watchdog.look()
    watchdog.forget_all()
    triton.config_answer = TritonRefused(400, "its step is not loaded")
    watchdog.look()
    assert watchdog.steps_of("m") == {"step"}
    assert not watchdog.is_cached("m")


def test_ensemble_whose_step_is_not_loaded_is_probed(
    watchdog: Watchdog, triton: ScriptedTriton
) -> None:
    def config(model: str, version: str, timeout: float) -> dict:
        if model == "step":
            raise TritonRefused(400, "it is not loaded")
        return CONFIG | {"ensemble_scheduling": {"step": [{"model_name": "step"}]}}

    triton.config, triton.answer = config, DEAD
    assert problem(watchdog).problem


def test_ensemble_names_its_steps(watchdog: Watchdog, triton: ScriptedTriton) -> None:
    triton.config_answer = {**CONFIG, "ensemble_scheduling": {"step": [{"model_name": "step"}]}}
    watchdog.look()
    assert watchdog.steps_of("m") == {"step"}
    assert watchdog.steps_of("other") == set()
