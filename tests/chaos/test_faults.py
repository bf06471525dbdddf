"""Faults under load: failures are reported honestly, and what broke heals without help.

CHAOS_SECONDS is how long the mixed run lasts; `make test-chaos CHAOS_SECONDS=600` is the long one,
which also judges how fast the stack is ready again.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS, starving
from tests.chaos.healing import (
    IS_JUDGED,
    PATIENCE,
    SECONDS,
    Healing,
    assert_honest,
    harm,
    treatments,
)
from tests.chaos.load import PICTURES, steady_load
from tests.e2e.conftest import Gateway, running_gateway
from tests.servers import Running, start_inference
from tests.waiting import wait_until

BETWEEN = 15.0  # seconds from one fault to the next
STARVED_SECONDS = 10.0


@pytest.fixture(scope="module")
def caching(small_repository: Path) -> Iterator[Running]:
    """Triton as `make serve` starts it, with its response cache."""
    with start_inference(small_repository) as running:
        yield running


@pytest.fixture(scope="module")
def caching_gateway(caching: Running) -> Iterator[Gateway]:
    with running_gateway(caching) as running:
        yield running


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_healed_and_reported_honestly(
    triton: Running, gateway: Gateway, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with steady_load(gateway.url) as load:
        wait_until(lambda: load.answered > 50, "the load is steady", PATIENCE)
        healing = harm(name, triton, gateway, load)
    with capsys.disabled():
        print(f"\n{healing}; {load}")
    assert_honest(load)


def test_a_starved_stack_is_slow_and_left_alone(
    triton: Running, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    before = treatments(triton)
    with steady_load(gateway.url) as load, starving():
        end = time.monotonic() + STARVED_SECONDS
        wait_until(lambda: time.monotonic() > end, "it was starved for long enough", PATIENCE)
    with capsys.disabled():
        print(f"\n{STARVED_SECONDS:.0f} s of starving: {load}")
    assert_honest(load)
    assert treatments(triton) == before


@pytest.mark.timeout(SECONDS + 300)
def test_mixed_faults_lose_nothing_silently(
    caching: Running, caching_gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(7)
    healings: list[Healing] = []
    with steady_load(caching_gateway.url) as load:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            due = time.monotonic() + BETWEEN
            name = chance.choice(list(FAULTS))
            healings.append(harm(name, caching, caching_gateway, load))
            wait_until(lambda due=due: time.monotonic() > due, "the next fault is due", PATIENCE)
    with capsys.disabled():
        print(f"\n{SECONDS:.0f} s of mixed faults: {load}", *healings, sep="\n  ")
        slowest = max(healings, key=lambda healing: healing.ready)
        print(f"  the slowest of {len(healings)}: {slowest}")
    assert_honest(load)
    for healing in healings if IS_JUDGED else []:
        healing.assert_in_time()


def test_the_cache_does_not_repeat_a_failure(caching: Running, caching_gateway: Gateway) -> None:
    """Triton 24.10 caches an empty answer to a request that a dying stub left unanswered."""
    with steady_load(caching_gateway.url) as load:
        wait_until(lambda: load.answered > 50, "the load is steady", PATIENCE)
        harm("kill-all-stubs", caching, caching_gateway, load)
    with steady_load(caching_gateway.url) as after:
        wait_until(lambda: after.answered > 8 * len(PICTURES), "every photo is asked", PATIENCE)
    assert_honest(load)
    assert set(after.statuses) == {"200"}
    assert not after.wrong
