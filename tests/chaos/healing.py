"""How long a stack takes to notice a fault and be ready again, and which answers are honest."""

import os
import re
import time
from dataclasses import dataclass

import psutil
import requests

from tests.chaos.faults import FAULTS
from tests.chaos.load import Outcomes
from tests.e2e.conftest import Gateway, is_ready
from tests.servers import Running
from tests.waiting import wait_until

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
IS_JUDGED = SECONDS >= 300  # the long form; in the short one a slow machine may take longer
NOTICED_WITHIN = 10.0
READY_WITHIN = 10.0
DEADLINE = 10.0  # of a request; the gateway's default
PATIENCE = 90.0  # only bounds the waits
HONEST = {"200", "429", "503", "504"}  # 504: a request in flight when something froze
TREATMENTS = re.compile(
    r"^edgelens_(?:model_reloads|triton_restarts)_total\S* (\S+)$", re.MULTILINE
)


@dataclass(frozen=True)
class Healing:
    """One fault: seconds until it was noticed, and until all was ready again."""

    fault: str
    noticed: float
    ready: float

    def __str__(self) -> str:
        return f"{self.fault}: noticed after {self.noticed:.1f} s, ready after {self.ready:.1f} s"

    def assert_in_time(self) -> None:
        """Check the times; a frozen process shows only by silence, so healing counts from then."""
        assert self.noticed <= NOTICED_WITHIN, self
        since = self.noticed if self.fault.startswith("freeze") else 0.0
        assert self.ready - since <= READY_WITHIN, self


def treatments(triton: Running) -> float:
    """Count what the launcher has reloaded and restarted so far."""
    text = requests.get(f"http://{triton.host}:{triton.health_port}/metrics", timeout=5).text
    return sum(float(count) for count in TREATMENTS.findall(text))


def harm(name: str, triton: Running, gateway: Gateway, load: Outcomes) -> Healing:
    """Inject a fault that must be noticed; return once all is ready and clients are answered."""
    before, begin = treatments(triton), time.monotonic()
    FAULTS[name](psutil.Process(triton.process.pid))
    wait_until(lambda: treatments(triton) > before, "the fault is noticed", PATIENCE)
    noticed = time.monotonic() - begin
    await_service([f"http://{triton.host}:{triton.health_port}", gateway.url], load)
    return Healing(name, noticed, time.monotonic() - begin)


def await_service(urls: list[str], load: Outcomes) -> None:
    """Wait until everything says that it is ready, and clients are really answered."""
    wait_until(lambda: all(is_ready(url) for url in urls), "all is ready again", PATIENCE)
    answered = load.answered
    wait_until(lambda: load.answered > answered + 8, "clients are answered again", PATIENCE)


def assert_honest(load: Outcomes) -> None:
    """Check that every request got an answer or a proper refusal, in time."""
    assert not load.wrong
    assert set(load.statuses) <= HONEST
    if IS_JUDGED:
        assert load.longest <= DEADLINE + 1
