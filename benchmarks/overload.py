"""Goodput under ten times the sustainable load: `make bench-overload`, about three minutes.

Finds the peak with sixteen clients, sends ten times as many requests a second, at fixed times
whether or not answers come, then finds the peak again, because a machine's speed may change. The
goodput is compared with the mean of the two peaks. VGG16 is served, so that the load generator
needs little of the machine; the result states how much.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bodies import Bodies
from benchmarks.contenders import edgelens
from benchmarks.exports import VGG16
from benchmarks.flood import Flood
from benchmarks.load import Plan, press
from benchmarks.places import PHOTOS
from benchmarks.preparation import prepare
from benchmarks.repositories import FLOAT
from benchmarks.servers import Server, running

TIMES = 10
DEADLINE = 10.0  # seconds; the gateway's default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=40)
    seconds = parser.parse_args().seconds
    contender = edgelens("overload", prepare(None).repositories, VGG16, FLOAT)
    with tempfile.TemporaryDirectory() as scratch, running(contender) as server:
        target = Bodies(Path(scratch)).target(server)
        plan = Plan(warm_seconds=5, seconds=seconds)
        before = press(target, plan).throughput
        found = judged(server, Flood(target.url, before * TIMES), seconds)
        after = press(target, plan).throughput
    peaks = {"peaks_per_second": [round(before, 2), round(after, 2)]}
    ratio = found["goodput_per_second"] * 2 / (before + after)
    print(json.dumps({**peaks, "goodput_vs_peak": round(ratio, 3), **found}, indent=2))


def judged(server: Server, flood: Flood, seconds: int) -> dict[str, Any]:
    """Send the flood and report how the server coped."""
    before, used, began = server.memory(), time.process_time(), time.monotonic()
    asyncio.run(flood.run([photo.read_bytes() for photo in PHOTOS], "image/jpeg", seconds))
    lasted = time.monotonic() - began
    used = time.process_time() - used
    after = server.memory()
    # Requests admitted last are answered after the flood, so goodput is over the whole time.
    good = flood.statuses["200"] / lasted
    p99 = statistics.quantiles(flood.latencies, n=100)[98] if len(flood.latencies) > 1 else None
    return {
        "goodput_per_second": round(good, 2),
        "admitted_p99_seconds": p99 and round(p99, 2),
        "deadline_seconds": DEADLINE,
        "statuses": dict(flood.statuses),
        "memory_mb": round(after / 1e6, 1),
        "memory_growth_mb": round((after - before) / 1e6, 1),
        "generator_share_of_a_core": round(used / lasted, 3),
    }


if __name__ == "__main__":
    main()
