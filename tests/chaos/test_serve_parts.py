"""`make serve` under load: whichever part is killed or frozen, all parts come back."""

import signal
import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest

from benchmarks.servers import free_port
from tests.chaos.faults import triton
from tests.chaos.healing import HONEST, PATIENCE, await_service
from tests.chaos.load import Outcomes, steady_load
from tests.e2e.conftest import is_ready
from tests.e2e.test_serve import Serve, gone, launch, serve
from tests.waiting import wait_until

__all__ = ["launch", "serve"]
PARTS: dict[str, Callable[[Serve], psutil.Process]] = {
    "gateway": lambda running: running.child("-m", "gateway"),
    "launcher": lambda running: running.child("-m", "inference"),
    "triton": lambda running: triton(running.child("-m", "inference")),
}
# What a client sees while the gateway is away, and when it was killed during an answer.
CUT_OFF = {"ConnectionError", "ChunkedEncodingError"}
SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}


def harm(running: Serve, fault: str, part: str, load: Outcomes) -> str:
    """Kill or freeze a part; report how long it took until it was gone, and until all was well."""
    begin, victim = time.monotonic(), PARTS[part](running)
    victim.send_signal(SIGNALS[fault])
    wait_until(lambda: gone([victim]), f"the {part} is gone", PATIENCE)
    replaced = time.monotonic() - begin
    await_service([running.url], load)
    return (
        f"{fault} {part}: gone after {replaced:.1f} s, well after {time.monotonic() - begin:.1f} s"
    )


def test_every_part_comes_back(
    serve: Callable[..., Serve], capsys: pytest.CaptureFixture[str]
) -> None:
    running, told = serve(), []
    with steady_load(running.url) as load:
        for fault in SIGNALS:
            for part in PARTS:
                wait_until(lambda: is_ready(running.url), "all is well", PATIENCE)
                told.append(harm(running, fault, part, load))
    # There is no balancer in front of the gateway: while it is away, connections fail.
    unanswered = Counter({s: n for s, n in load.statuses.items() if not s.isdigit()})
    with capsys.disabled():
        print(f"\n{load}", *told, sep="\n  ")
    assert not load.wrong
    assert set(load.statuses) <= HONEST | CUT_OFF
    assert unanswered.total() < load.answered


def test_a_start_right_after_the_supervisor_was_killed_gets_the_same_ports(
    serve: Callable[..., Serve], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["PORT", *(f"TRITON_{name}_PORT" for name in ("HTTP", "GRPC", "METRICS", "HEALTH"))]
    ports = {name: str(free_port()) for name in names}
    running = serve(**ports)
    with steady_load(running.url) as load:
        wait_until(lambda: load.answered > 50, "the load is steady", PATIENCE)
        running.child("serve.py").kill()
        running.process.wait(PATIENCE)
        begin = time.monotonic()
        again = serve(**ports)
        wait_until(lambda: "is ready: open" in again.log.read_text(), "it says so", PATIENCE)
        await_service([again.url], load)
    with capsys.disabled():
        print(f"\nstarted again after {time.monotonic() - begin:.1f} s; {load}")
    assert not load.wrong
