"""What the supervisor does to a Triton, and when it gives up on it."""

import errno
import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from inference.deployment.model_files import ModelFiles
from inference.errors import LaunchError, ProcessLost, TritonRefused, TritonSilent
from inference.settings import Settings
from inference.signals import Interrupted
from inference.supervision.state import Finding, State
from inference.supervision.supervisor import (
    ABANDONED_SECONDS,
    GLANCE_SECONDS,
    LONGEST_RESTART_PAUSE,
    STARVED_SILENCES,
    Supervisor,
)
from inference.tritonserver.shm import bearable


class SilentTriton:
    """A Triton that runs and never answers: the client, the server and the stubs in one."""

    pid = 0
    lost = 0

    def __init__(self, works: bool) -> None:
        self.works = works
        self.calls = 0

    def loaded(self, timeout: float) -> list[tuple[str, str]]:
        self.calls += 1
        raise TritonSilent("no answer within 5 s")

    def loading(self, timeout: float) -> list[tuple[str, str]]:
        raise TritonSilent("no answer within 1 s")

    def is_running(self) -> bool:
        return True

    def is_working(self) -> bool:
        return self.works

    def close_segments(self) -> None:
        pass

    def leaked(self) -> int:
        return self.lost

    def all_pids(self) -> list[int]:
        return []

    def dead(self) -> set[int]:
        return set()


def build(
    triton: SilentTriton, say: Callable[[str], None], repository: Path, state: State | None = None
) -> Supervisor:
    return Supervisor(
        Settings.from_env({"TRITON_PROBE_PERIOD": "0.1"}, repository),
        server=triton,
        client=triton,
        stubs=triton,
        state=state or State(),
        say=say,
    )


def supervised(triton: SilentTriton, state: State) -> list[str]:
    """Watch a Triton until it is to be restarted; return what was said."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        raise Interrupted

    supervisor = build(triton, say, Path("/models"), state)
    with pytest.raises(Interrupted):
        supervisor.run(lambda findings: None)
    supervisor.close()
    return said


@pytest.mark.parametrize(
    ("works", "calls"), [(True, STARVED_SILENCES), (False, 1)], ids=["starved", "hanging"]
)
def test_only_a_triton_that_waits_for_a_processor_is_asked_again(works: bool, calls: int) -> None:
    triton = SilentTriton(works)
    (said,) = supervised(triton, State())
    assert "restarting" in said
    assert triton.calls == calls
    assert (triton.calls > 1) == works


class BusyTriton(SilentTriton):
    """A Triton one of whose threads loads a model, and leaves its other calls unanswered."""

    def __init__(self, rounds: int) -> None:
        super().__init__(works=False)
        self.rounds = rounds

    def loading(self, timeout: float) -> list[tuple[str, str]]:
        return [("cat", "2")] if self.calls <= self.rounds else []

    def pids(self, model: str, version: str = "") -> list[int]:
        return [os.getpid()]


def test_a_triton_that_loads_a_model_is_not_restarted_for_its_silence() -> None:
    triton = BusyTriton(rounds=2)
    (said,) = supervised(triton, State())
    assert "restarting" in said
    assert triton.calls == triton.rounds + 1


def test_leaked_shared_memory_is_measured_and_freed_by_a_restart() -> None:
    triton, state = SilentTriton(works=True), State()
    triton.lost = bearable() + 1
    (said,) = supervised(triton, state)
    assert (
        said == "Triton's shared memory is full of what dead models left behind; restarting Triton."
    )
    assert triton.calls == 0
    name = "edgelens_leaked_shared_memory_bytes"
    assert state.metrics.registry.get_sample_value(name) == triton.lost


class LosingTriton(SilentTriton):
    """A Triton that cannot start because of one model's process."""

    def __init__(self) -> None:
        super().__init__(works=False)
        self.started: list[list[str]] = []

    def kill(self) -> None:
        pass

    def start(self, models: list[str], tolerant: bool = False) -> None:
        self.started.append(models)

    def await_live(self, client: object, loadings: object) -> None:
        if {"bad", "bad_image"} & set(self.started[-1]):  # the ensemble loads its steps
            raise ProcessLost("bad", "The process of model bad died.")


def test_a_model_that_keeps_triton_from_starting_is_left_out(tmp_path: Path) -> None:
    for model in ("bad", "bad_image", "good"):
        (tmp_path / model / "1").mkdir(parents=True)
    triton, said = LosingTriton(), []
    supervisor = build(triton, said.append, tmp_path)
    supervisor.start(["good"])
    supervisor._expected = {"bad", "bad_image", "good"}
    supervisor._restart("Triton was killed by SIGKILL")
    supervisor.close()
    assert triton.started == [["good"], ["bad", "bad_image", "good"], ["good"]]
    assert said[-1] == "The process of model bad died. Triton is started without it."
    missing = supervisor._missing([Finding("good", "1")])
    assert [finding.model for finding in missing] == ["bad", "bad_image"]


class Clock:
    """Stands in for the module `time`: sleeping takes no time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("supervision.patients", "tritonserver.loadings", "supervision.supervisor"):
        monkeypatch.setattr(f"inference.{module}.time", clock)
    return clock


class ScriptedTriton(SilentTriton):
    """A Triton and its watchdog, which finds what a test says; records what is done to them."""

    def __init__(self, clock: Clock, *rounds: list[Finding] | TritonSilent) -> None:
        super().__init__(works=True)
        self.clock, self.rounds = clock, list(rounds)
        self.done: list[str] = []
        self.seconds_per_look = 100.0  # every patient is due again
        self.failures: list[LaunchError] = []  # of the next restarts
        self.refusals: list[LaunchError] = []  # by the system, to start it
        self.steps: dict[str, set[str]] = {}
        self.is_cached = lambda model: False
        self.under_way: list[tuple[str, str]] = []
        self.processes: list[list[int]] = []
        self.killed: list[int] = []
        self.hold: threading.Event | None = None

    def look(self) -> list[Finding]:
        self.clock.now += self.seconds_per_look
        found = self.rounds.pop(0) if self.rounds else Interrupted()
        if isinstance(found, BaseException):
            raise found
        return found

    def loading(self, timeout: float) -> list[tuple[str, str]]:
        return self.under_way

    def pids(self, model: str, version: str) -> list[int]:
        self.clock.now += 6.0  # more than a model may be without a process
        return self.processes.pop(0) if self.processes else []

    def steps_of(self, model: str) -> set[str]:
        return self.steps.get(model, set())

    def forget(self, model: str) -> None:
        self.done.append(f"forget {model}")

    def forget_all(self) -> None:
        pass

    def close(self) -> None:
        pass

    def kill(self, model: str = "", only: list[int] | None = None) -> None:
        if only is not None:
            self.killed += only
        elif model:
            self.done.append(f"kill {model}")
        elif self.hold:
            self.hold.set()

    def unload(self, model: str, timeout: float) -> None:
        self.done.append(f"unload {model}")

    def load(self, model: str, timeout: float) -> None:
        self.done.append(f"load {model}")
        if self.hold:
            assert self.hold.wait(20)

    def start(self, models: list[str], tolerant: bool = False) -> None:
        if tolerant:
            self.done.append(" ".join(["start", *models]))
            if self.refusals:
                raise self.refusals.pop(0)

    def await_live(self, client: object, loadings: object) -> None:
        if self.failures and self.done:
            raise self.failures.pop(0)


def run(
    triton: ScriptedTriton,
    repository: Path,
    *models: str,
    gone: str = "",
    state: State | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Serve models until the script ends; `gone` names one missing from the repository."""
    for model in {*models} - {gone}:
        (repository / model / "1").mkdir(parents=True, exist_ok=True)
    supervisor = build(triton, say, repository, state)
    supervisor._watchdog = triton
    supervisor.start(list(models))
    with pytest.raises(Interrupted):
        supervisor.run(lambda findings: None)
    supervisor.close()


WELL = Finding("m", "1")
FAILS = Finding("m", "1", "it fails")
UNPROVED = Finding("m", "1", unproved=True)
HANGS = Finding("m", "1", "it does not infer", hung=True)
ENSEMBLE_FAILS = Finding("ensemble", "1", "its step fails")
SILENT = TritonSilent("no answer within 5 s")
A_FEW_SILENCES = [SILENT] * (STARVED_SILENCES - 1)
RELOADED = ["forget m", "unload m", "load m"]
RESTARTED = ["start m"]
LEFT_OUT = ["forget bad", "unload bad", "start m"]


def die(model: str, timeout: float) -> None:
    raise TritonSilent("its process died while it was being loaded")


@pytest.mark.parametrize(
    ("rounds", "seconds_per_look", "cached", "done"),
    [
        ([[FAILS]] * 4, 100, False, RELOADED + RESTARTED + RELOADED * 2),
        ([[FAILS]] * 4, 0, False, RELOADED + RESTARTED),
        ([[FAILS]] * 4, 100, True, RESTARTED * 2 + RELOADED * 2),
        ([[HANGS]], 100, False, ["kill m", *RELOADED]),
        ([[ENSEMBLE_FAILS, FAILS]], 100, False, RELOADED),
    ],
    ids=["failing", "not due again", "cached", "hanging", "step of an ensemble"],
)
def test_what_is_ill_is_reloaded_and_triton_restarted_only_where_that_may_help(
    clock: Clock,
    tmp_path: Path,
    rounds: list[list[Finding]],
    seconds_per_look: float,
    cached: bool,
    done: list[str],
) -> None:
    triton = ScriptedTriton(clock, *rounds)
    triton.seconds_per_look, triton.is_cached = seconds_per_look, lambda model: cached
    triton.steps = {"ensemble": {"m"}}
    run(triton, tmp_path, "m")
    assert triton.done == done


def test_a_reloaded_model_stays_under_treatment_until_it_has_inferred(
    clock: Clock, tmp_path: Path
) -> None:
    triton = ScriptedTriton(clock, [FAILS], [UNPROVED], [FAILS])
    run(triton, tmp_path, "m")
    assert triton.done == RELOADED + RESTARTED


def test_what_infers_again_is_told_in_one_line(clock: Clock, tmp_path: Path) -> None:
    said: list[str] = []
    others = [Finding(name, "1") for name in ("n", "o")]
    triton = ScriptedTriton(clock, [FAILS, *others], [WELL, *others])
    triton.is_cached = lambda model: True  # so that all are started anew
    run(triton, tmp_path, "m", "n", "o", say=said.append)
    assert said == [
        "m failed (it fails), and the failure may be cached; restarting Triton.",
        "m, n, o infer again.",
    ]


def test_the_server_is_ready_again_without_a_model_that_restarts_did_not_heal(
    clock: Clock, tmp_path: Path
) -> None:
    fails, well = [FAILS, ENSEMBLE_FAILS, Finding("n", "1")], [WELL, Finding("n", "1")]
    triton, state, ready = ScriptedTriton(clock, well, fails, fails, fails, well), State(), []
    triton.steps = {"ensemble": {"m"}}
    look = triton.look

    def look_after_noting() -> list[Finding]:
        ready.append(state.is_ready())
        return look()

    triton.look = look_after_noting
    run(triton, tmp_path, "m", "n", state=state)
    assert ready == [False, True, False, False, True, True]


def test_a_reload_during_which_the_process_dies_ends_with_a_restart(
    clock: Clock, tmp_path: Path
) -> None:
    triton = ScriptedTriton(clock, [FAILS])
    triton.processes, triton.hold = [[1], [1]], threading.Event()
    run(triton, tmp_path, "m")
    assert triton.done == RELOADED + RESTARTED
    assert triton.killed == [1]


def test_a_model_that_was_left_out_and_dies_again_is_left_out_again(
    clock: Clock, tmp_path: Path
) -> None:
    triton = ScriptedTriton(clock, *A_FEW_SILENCES, SILENT, [WELL])
    triton.failures = [ProcessLost("bad", "It died.")]
    triton.load = die
    run(triton, tmp_path, "bad", "m")
    assert triton.done == ["start bad m", "start m", *LEFT_OUT]


def test_the_others_are_restarted_for_a_model_that_cannot_be_loaded_every_ten_minutes_at_most(
    clock: Clock, tmp_path: Path
) -> None:
    hour = int(3600 / ScriptedTriton(clock).seconds_per_look)
    triton = ScriptedTriton(clock, *A_FEW_SILENCES, SILENT, *[[WELL]] * hour)
    triton.failures = [ProcessLost("bad", "It died.")]
    triton.load = die
    run(triton, tmp_path, "bad", "m")
    assert triton.done == ["start bad m", "start m", *LEFT_OUT * 6]


def test_a_load_by_others_during_which_the_process_dies_ends_with_a_restart(
    clock: Clock, tmp_path: Path
) -> None:
    triton = ScriptedTriton(clock, [WELL], [WELL])
    triton.processes, triton.under_way = [[1]], [("m", "2")]
    run(triton, tmp_path, "m")
    assert triton.done == RESTARTED


def test_a_model_that_others_unloaded_is_not_loaded_again(clock: Clock, tmp_path: Path) -> None:
    triton = ScriptedTriton(clock, [WELL], [WELL])
    run(triton, tmp_path, "m", "unloaded")
    assert triton.done == []


def test_a_model_that_has_no_version_any_more_does_not_keep_triton_from_starting(
    clock: Clock, tmp_path: Path
) -> None:
    triton = ScriptedTriton(clock, *A_FEW_SILENCES, SILENT)
    run(triton, tmp_path, "m", "removed", gone="removed")
    assert triton.done == RESTARTED


def test_an_ensemble_comes_back_with_the_model_whose_directory_was_away(
    clock: Clock, tmp_path: Path
) -> None:
    other, ensemble = Finding("other", "1"), Finding("m_image", "1")
    triton = ScriptedTriton(clock, [FAILS, other, ensemble], [other], [other, WELL])
    triton.is_cached = lambda model: True
    triton.steps = {"m_image": {"m"}}
    (tmp_path / "m_image/1").mkdir(parents=True)
    (tmp_path / "m_image/config.pbtxt").write_text(
        'ensemble_scheduling { step { model_name: "m" } }'
    )
    run(triton, tmp_path, "m", "m_image", "other", gone="m")
    back = ["forget m_image", "unload m_image", "load m_image"]
    assert triton.done == ["start other", *RELOADED, *back]


def test_of_a_model_whose_directory_is_gone_it_is_said_what_to_do(
    clock: Clock, tmp_path: Path
) -> None:
    def refuse(model: str, timeout: float) -> None:
        raise TritonRefused(400, "failed to poll from model repository")

    said: list[str] = []
    triton = ScriptedTriton(clock, [FAILS])
    triton.load = refuse
    run(triton, tmp_path, "m", "other", gone="m", say=said.append)
    assert (
        "m could not be reloaded: its directory is gone; put it back, and it is served again"
        in said
    )


@pytest.mark.parametrize(
    ("between", "done"), [([WELL], []), (SILENT, RESTARTED)], ids=["answer", "restart"]
)
def test_silences_are_counted_anew_after_an_answer_or_a_restart(
    clock: Clock, tmp_path: Path, between: list[Finding] | TritonSilent, done: list[str]
) -> None:
    triton = ScriptedTriton(clock, *A_FEW_SILENCES, between, *A_FEW_SILENCES)
    run(triton, tmp_path, "m")
    assert triton.done == done


def test_what_consists_of_a_model_that_is_left_out_is_left_out_too(
    clock: Clock, tmp_path: Path
) -> None:
    triton = ScriptedTriton(clock, *A_FEW_SILENCES, SILENT)
    triton.steps = {"inner": {"bad"}, "outer": {"inner"}}
    triton.failures = [ProcessLost("bad", "It died.")]
    run(triton, tmp_path, "bad", "inner", "m", "outer")
    assert triton.done == ["start bad inner m outer", "start m"]


def test_a_model_is_left_out_once_and_no_start_tried_twice(clock: Clock, tmp_path: Path) -> None:
    triton = ScriptedTriton(clock, *A_FEW_SILENCES, SILENT)
    triton.failures = [ProcessLost("bad", "It died.")] * 2
    run(triton, tmp_path, "bad", "m")
    assert triton.done == ["start bad m", "start m"]


def test_a_triton_that_cannot_start_is_started_less_and_less_often_until_it_does(
    clock: Clock, tmp_path: Path
) -> None:
    triton = ScriptedTriton(clock, *[SILENT] * 8)
    triton.works, triton.failures = False, [LaunchError("It ended.")] * 6
    run(triton, tmp_path, "m")
    assert triton.done == RESTARTED * 8
    assert [seconds for seconds in clock.slept if seconds > GLANCE_SECONDS] == [2, 4, 8, 16, 30, 30]


def test_a_system_without_room_for_triton_is_asked_again_later(
    clock: Clock, tmp_path: Path
) -> None:
    triton = ScriptedTriton(clock, *[SILENT] * 3)
    triton.works, triton.refusals = False, [LaunchError("No memory.")] * 2
    run(triton, tmp_path, "m")
    assert triton.done == RESTARTED * 3
    assert [seconds for seconds in clock.slept if seconds > GLANCE_SECONDS] == [2, 4]


def test_the_state_says_why_triton_cannot_start_until_it_is_tried_again(
    clock: Clock, tmp_path: Path
) -> None:
    state, told = State(), []

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if seconds > GLANCE_SECONDS:
            told.extend(state.problems())

    triton = ScriptedTriton(clock, *[SILENT] * 3)
    triton.works, triton.failures = False, [LaunchError("It ended.")] * 2
    clock.sleep = sleep
    run(triton, tmp_path, "m", state=state)
    assert told == ["It ended."] * 2


def test_a_triton_that_could_not_start_for_a_day_is_still_started(
    clock: Clock, tmp_path: Path
) -> None:
    day = int(24 * 3600 / LONGEST_RESTART_PAUSE)
    triton = ScriptedTriton(clock, *[SILENT] * day)
    triton.works, triton.failures = False, [LaunchError("It ended.")] * day
    run(triton, tmp_path, "m")
    assert triton.done == RESTARTED * day


@pytest.mark.parametrize("works", [True, False], ids=["at work", "killed"])
@pytest.mark.parametrize("state", ["READY", "LOADING", "UNLOADING", "UNAVAILABLE", None])
@pytest.mark.parametrize("age", [0, 2 * ABANDONED_SECONDS], ids=["fresh", "old"])
def test_what_a_killed_deployment_was_testing_is_unloaded_and_later_removed(
    clock: Clock, tmp_path: Path, works: bool, state: str | None, age: float
) -> None:
    triton = ScriptedTriton(clock, [WELL])
    told = {"version": "2", "state": state} if state else {}
    triton.index = lambda timeout: [
        {"name": "m", "state": "READY"},
        {"name": ".m_candidate"} | told,
    ]
    (tmp_path / "m").mkdir()
    candidate = tmp_path / ".m_candidate"
    candidate.mkdir()
    written = candidate.stat().st_mtime - age
    os.utime(candidate, (written, written))
    with ModelFiles(tmp_path, "m").locked() if works else nullcontext():
        run(triton, tmp_path, "m")
    unloads = not works and state == "READY"
    assert triton.done == (["unload .m_candidate"] if unloads else [])
    removes = not works and state in ("UNAVAILABLE", None) and age
    assert candidate.exists() != bool(removes)


def test_what_infers_is_served_while_the_repository_cannot_be_read(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[ModelFiles]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def refuse(timeout: float) -> list[tuple[str, str]]:
        raise TritonRefused(500, "failed to open directory /models")

    triton, state = ScriptedTriton(clock, [WELL], [WELL]), State()
    monkeypatch.setattr(triton, "loading", refuse)
    monkeypatch.setattr(ModelFiles, "under_test", fail)
    run(triton, tmp_path, "m", state=state)
    assert state.is_ready()


def test_processes_that_models_left_behind_are_reaped(clock: Clock, tmp_path: Path) -> None:
    orphan = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
    run(ScriptedTriton(clock, [WELL]), tmp_path, "m")
    with pytest.raises(ChildProcessError):
        os.waitpid(orphan, os.WNOHANG)
