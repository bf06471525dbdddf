"""Goodput under ten times the sustainable load: `make bench-overload`, about three minutes.

Finds the peak with sixteen clients, sends ten times as many requests a second, at fixed times
whether or not answers come, then finds the peak again, because a machine's speed may change. The
goodput is compared with the mean of the two peaks. VGG16 is served, so that the load generator
needs little of the machine; the result states how much.
"""

import argparse
import asyncio
import json
import sys
import time
from functools import partial
from typing import Any

from benchmarks.bodies import photos
from benchmarks.clock import Clock
from benchmarks.contenders import edgelens
from benchmarks.exports import VGG16
from benchmarks.flood import Flood
from benchmarks.interruption import until_interrupted
from benchmarks.load import Plan, p99, press
from benchmarks.places import PHOTOS
from benchmarks.preparation import prepare
from benchmarks.repositories import FLOAT
from benchmarks.servers import Server, running

TIMES = 10
DEADLINE = 10.0  # seconds; the gateway's default


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--seconds", type=int, default=40, help="per part (default: 40)")
    return until_interrupted("bench-overload", partial(_run, parser.parse_args().seconds))


def _run(seconds: int) -> int:
    print(json.dumps(measured(seconds), indent=2))
    return 0


def measured(seconds: int) -> dict[str, Any]:
    """Measure peak, overload and peak again, each for so many seconds, and report progress."""
    print("preparing the models and starting the server", file=sys.stderr, flush=True)
    contender = edgelens("overload", prepare(None).repositories, VGG16, FLOAT)
    with running(contender) as server:
        target = photos(server)
        plan = Plan(warm_seconds=5, seconds=seconds)
        clock = Clock((3 * seconds + 2 * plan.warm_seconds) / 60)
        clock.say("the peak, with sixteen clients")
        before = press(target, plan).throughput
        clock.say(f"{TIMES} times the peak of {before:.1f} requests per second")
        found = judged(server, Flood(target.url, before * TIMES), seconds)
        clock.say("the peak again")
        after = press(target, plan).throughput
    peaks = {"peaks_per_second": [round(before, 2), round(after, 2)]}
    ratio = found["goodput_per_second"] * 2 / (before + after)
    return {**peaks, "goodput_vs_peak": round(ratio, 3), **found}


def judged(server: Server, flood: Flood, seconds: int) -> dict[str, Any]:
    """Send the flood and report how the server coped."""
    before, used, began = server.memory(), time.process_time(), time.monotonic()
    asyncio.run(flood.run([photo.read_bytes() for photo in PHOTOS], "image/jpeg", seconds))
    lasted = time.monotonic() - began
    used = time.process_time() - used
    after = server.memory()
    # Requests admitted last are answered after the flood, so goodput is over the whole time.
    good = flood.statuses["200"] / lasted
    late = round(p99(flood.latencies), 2) if len(flood.latencies) > 1 else None
    return {
        "goodput_per_second": round(good, 2),
        "admitted_p99_seconds": late,
        "deadline_seconds": DEADLINE,
        "statuses": dict(flood.statuses),
        "memory_mb": round(after / 1e6, 1),
        "memory_growth_mb": round((after - before) / 1e6, 1),
        "generator_share_of_a_core": round(used / lasted, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
