"""Goodput under ten times the sustainable load: `make bench-overload`, about two minutes.

Finds the peak with sixteen clients, then sends ten times as many requests a second, at fixed times
whether or not answers come, and compares. VGG16 is served, so that the load generator needs little
of the machine; how much is part of the result.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.bodies import Bodies
from benchmarks.contenders import edgelens
from benchmarks.exports import VGG16
from benchmarks.load import Plan, press
from benchmarks.places import PHOTOS
from benchmarks.preparation import prepare
from benchmarks.repositories import FLOAT
from benchmarks.servers import Server, running

TIMES = 10
PATIENCE = 30.0  # seconds
DEADLINE = 10.0  # seconds; the gateway's default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=40)
    seconds = parser.parse_args().seconds
    contender = edgelens("overload", prepare(None).repositories, VGG16, FLOAT)
    with tempfile.TemporaryDirectory() as scratch, running(contender) as server:
        target = Bodies(Path(scratch)).target(server)
        peak = press(target, Plan(warm_seconds=5, seconds=seconds)).throughput
        flood = Flood(target.url, peak * TIMES)
        print(json.dumps(judged(server, flood, peak, seconds), indent=2))


@dataclass
class Flood:
    """Requests at a fixed rate, how they ended, and the good ones' latencies in seconds."""

    url: str
    rate: float
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    async def run(self, seconds: int) -> None:
        """Send at fixed times, whether or not answers come; then wait for the last one."""
        bodies = [photo.read_bytes() for photo in PHOTOS]
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as client:
            begin, sent = time.monotonic(), []
            for number in range(round(self.rate * seconds)):
                await asyncio.sleep(max(0.0, begin + number / self.rate - time.monotonic()))
                body = bodies[number % len(bodies)]
                sent.append(asyncio.create_task(self._send(client, body)))
            await asyncio.gather(*sent)

    async def _send(self, client: aiohttp.ClientSession, body: bytes) -> None:
        begin = time.monotonic()
        headers = {"Content-Type": "image/jpeg"}
        try:
            async with client.post(self.url, data=body, headers=headers) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.statuses[type(error).__name__] += 1
            return
        self.statuses[str(answer.status)] += 1
        if answer.status == 200:
            self.latencies.append(time.monotonic() - begin)


def judged(server: Server, flood: Flood, peak: float, seconds: int) -> dict[str, object]:
    """Let the flood come and say how the server stood it."""
    before, used, began = server.memory(), time.process_time(), time.monotonic()
    asyncio.run(flood.run(seconds))
    lasted = time.monotonic() - began
    used = time.process_time() - used
    after = server.memory()
    # What was admitted in the last moment is answered after it: goodput is over the whole time.
    good = flood.statuses["200"] / lasted
    p99 = statistics.quantiles(flood.latencies, n=100)[98] if len(flood.latencies) > 1 else None
    return {
        "peak_per_second": round(peak, 2),
        "goodput_per_second": round(good, 2),
        "goodput_vs_peak": round(good / peak, 3),
        "admitted_p99_seconds": p99 and round(p99, 2),
        "deadline_seconds": DEADLINE,
        "statuses": dict(flood.statuses),
        "memory_mb": round(after / 1e6, 1),
        "memory_growth_mb": round((after - before) / 1e6, 1),
        "generator_share_of_a_core": round(used / lasted, 3),
    }


if __name__ == "__main__":
    main()
