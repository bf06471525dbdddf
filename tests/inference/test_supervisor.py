"""When the supervisor gives a Triton up."""

from pathlib import Path

import pytest

from inference.errors import Stop, TritonSilent
from inference.settings import Settings
from inference.shm import bearable
from inference.state import Metrics, State
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
