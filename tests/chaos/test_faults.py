"""Faults under load: what fails, fails honestly, and what broke is mended without help.

CHAOS_SECONDS is how long the mixed run lasts; `make test-chaos CHAOS_SECONDS=600` is the long one.
"""

import os
import random
import time
from pathlib import Path

import psutil
import pytest

from tests.chaos.faults import FAULTS, Fault, kill_all_stubs
from tests.chaos.load import PATIENCE, PHOTOS, Outcomes, steady_load
from tests.e2e.conftest import Gateway, is_ready, running_gateway
from tests.servers import Running, start_inference
from tests.waiting import wait_until

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
BETWEEN = 15.0  # seconds from one fault to the next
HEALING = 60.0  # seconds; only a limit for the wait, the figure is printed


def harm(fault: Fault, triton: Running, gateway: Gateway, load: Outcomes) -> float:
    """Inject a fault; return the seconds until requests fail no more and the gateway is ready."""
    begin = time.monotonic()
    fault(psutil.Process(triton.process.pid))
    answered, refused = load.answered, load.refused
    wait_until(
        lambda: load.refused > refused or load.answered > answered + 200, "the fault shows", HEALING
    )
    wait_until(lambda: is_ready(gateway.url), "the gateway is ready again", HEALING)
    answered = load.answered
    wait_until(lambda: load.answered > answered + 16, "clients are answered again", HEALING)
    return time.monotonic() - begin


def assert_honest(load: Outcomes) -> None:
    assert not load.wrong
    assert set(load.statuses) <= {"200", "429", "503", "504"}
    assert load.longest < PATIENCE


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_healed_and_reported_honestly(
    triton: Running, gateway: Gateway, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with steady_load(gateway.url) as load:
        wait_until(lambda: load.answered > 50, "the load is steady", HEALING)
        seconds = harm(FAULTS[name], triton, gateway, load)
    with capsys.disabled():
        print(f"\n{name}: {load}; served again after {seconds:.1f} s")
    assert_honest(load)


def test_mixed_faults_lose_nothing_silently(
    triton: Running, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(7)
    healing = []
    with steady_load(gateway.url) as load:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            name = chance.choice(list(FAULTS))
            due = time.monotonic() + BETWEEN
            healing.append(f"{name} {harm(FAULTS[name], triton, gateway, load):.1f} s")
            wait_until(lambda due=due: time.monotonic() > due, "the next fault is due", HEALING)
    with capsys.disabled():
        print(
            f"\n{SECONDS:.0f} s of mixed faults: {load}; served again after: {', '.join(healing)}"
        )
    assert_honest(load)
    assert load.answered > 0


def test_the_cache_does_not_repeat_a_failure(small_repository: Path) -> None:
    """Triton 24.10 caches what a dying stub left unanswered as an empty answer."""
    with start_inference(small_repository) as triton, running_gateway(triton) as gateway:
        launcher = psutil.Process(triton.process.pid)
        with steady_load(gateway.url) as load:
            kill_all_stubs(launcher)
            wait_until(lambda: load.refused > 0, "the fault shows", HEALING)
            wait_until(lambda: is_ready(gateway.url), "the gateway is ready again", HEALING)
        with steady_load(gateway.url) as after:
            wait_until(lambda: after.answered > 5 * len(PHOTOS), "every photo is asked", HEALING)
    assert_honest(load)
    assert set(after.statuses) == {"200"}
    assert not after.wrong
