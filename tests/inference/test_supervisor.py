"""When the supervisor gives a Triton up."""

from pathlib import Path

import pytest

from inference.errors import ProcessLost, Stop, TritonSilent
from inference.settings import Settings
from inference.shm import bearable
from inference.state import Finding, Metrics, State
from inference.supervisor import STARVED_SILENCES, Supervisor


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

    def is_running(self) -> bool:
        return True

    def is_working(self) -> bool:
        return self.works

    def leaked(self) -> int:
        return self.lost

    def all_pids(self) -> list[int]:
        return []


def supervised(triton: SilentTriton, state: State) -> list[str]:
    """Watch a Triton until it is to be restarted; return what was said."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        raise Stop

    supervisor = Supervisor(
        Settings.from_env({}, Path("/models")),
        server=triton,
        client=triton,
        stubs=triton,
        state=state,
        say=say,
    )
    with pytest.raises(Stop):
        supervisor.run(lambda findings: None)
    supervisor.close()
    return said


@pytest.mark.parametrize(
    ("works", "calls"), [(True, STARVED_SILENCES), (False, 1)], ids=["starved", "hanging"]
)
def test_only_a_triton_that_waits_for_a_processor_is_asked_again(works: bool, calls: int) -> None:
    triton = SilentTriton(works)
    (said,) = supervised(triton, State(Metrics()))
    assert "restarting" in said
    assert triton.calls == calls


def test_leaked_shared_memory_is_measured_and_freed_by_a_restart() -> None:
    triton, state = SilentTriton(works=True), State(Metrics())
    triton.lost = bearable() + 1
    (said,) = supervised(triton, state)
    assert said == "Triton's shared memory is full of what dead models left; restarting it."
    assert triton.calls == 0
    name = "edgelens_leaked_shared_memory_bytes"
    assert state.metrics.registry.get_sample_value(name) == triton.lost


class LosingTriton(SilentTriton):
    """A Triton that one model's process keeps from starting."""

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
    supervisor = Supervisor(
        Settings.from_env({}, tmp_path),
        server=triton,
        client=triton,
        stubs=triton,
        state=State(Metrics()),
        say=said.append,
    )
    supervisor.start(["good"])
    supervisor._expected = {"bad", "bad_image", "good"}
    supervisor._restart("Triton was ended by SIGKILL")
    supervisor.close()
    assert triton.started == [["good"], ["bad", "bad_image", "good"], ["good"]]
    assert said[-1] == "The process of model bad died. Triton is started without it."
    missing = supervisor._missing([Finding("good", "1")])
    assert [finding.model for finding in missing] == ["bad", "bad_image"]
