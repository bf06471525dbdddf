"""When the supervisor gives a Triton up."""

from pathlib import Path

import pytest

from inference.errors import Stop, TritonSilent
from inference.settings import Settings
from inference.state import Metrics, State
from inference.supervisor import STARVED_SILENCES, Supervisor


class SilentTriton:
    """A Triton that runs and never answers: the client, the server and the stubs in one."""

    pid = 0

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

    def all_pids(self) -> list[int]:
        return []


@pytest.mark.parametrize(
    ("works", "calls"), [(True, STARVED_SILENCES), (False, 1)], ids=["starved", "hanging"]
)
def test_only_a_triton_that_waits_for_a_processor_is_asked_again(works: bool, calls: int) -> None:
    triton = SilentTriton(works)

    def say(text: str) -> None:
        assert "restarting" in text
        raise Stop

    supervisor = Supervisor(
        Settings.from_env({}, Path("/models")),
        server=triton,
        client=triton,
        stubs=triton,
        state=State(Metrics()),
        say=say,
    )
    with pytest.raises(Stop):
        supervisor.run(lambda findings: None)
    supervisor.close()
    assert triton.calls == calls
