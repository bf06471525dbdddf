"""Goodput under ten times the sustainable load: `python -m benchmarks.overload`.

Finds the peak with sixteen clients, then sends ten times as many requests a second, at fixed times
whether or not answers come, and compares. VGG16 is served, so that the load generator needs little
of the machine.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp

from benchmarks import contenders
from benchmarks.load import press
from benchmarks.repositories import PHOTOS, VGG16, prepare

CLIENTS = 16
TIMES = 10
PATIENCE = 30.0  # seconds
DEADLINE = 10.0  # seconds; the gateway's default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=40)
    seconds = parser.parse_args().seconds
    contender = contenders.edgelens("overload", prepare(None).bf16, VGG16)
    with tempfile.TemporaryDirectory() as scratch, contenders.running(contender) as server:
        target = contenders.target(server, PHOTOS, Path(scratch))
        press(target, CLIENTS, 5)
        peak = press(target, CLIENTS, seconds).throughput
        before = server.memory()
        statuses, latencies = asyncio.run(flood(target.url, peak * TIMES, seconds))
        growth = server.memory() - before
    good = statuses["200"] / seconds
    print(
        json.dumps(
            {
                "peak_per_second": round(peak, 2),
                "goodput_per_second": round(good, 2),
                "goodput_vs_peak": round(good / peak, 3),
                "admitted_p99_seconds": round(statistics.quantiles(latencies, n=100)[98], 2),
                "deadline_seconds": DEADLINE,
                "statuses": dict(statuses),
                "memory_growth_mb": round(growth / 1e6, 1),
            },
            indent=2,
        )
    )


async def flood(url: str, rate: float, seconds: int) -> tuple[Counter[str], list[float]]:
    """Send requests at a fixed rate; return how they ended and the good ones' latencies."""
    statuses: Counter[str] = Counter()
    latencies: list[float] = []
    bodies = [photo.read_bytes() for photo in PHOTOS]
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:

        async def send(number: int) -> None:
            begin = time.monotonic()
            body = bodies[number % len(bodies)]
            headers = {"Content-Type": "image/jpeg"}
            try:
                async with session.post(url, data=body, headers=headers) as answer:
                    await answer.read()
                    statuses[str(answer.status)] += 1
                    if answer.status == 200:
                        latencies.append(time.monotonic() - begin)
            except (aiohttp.ClientError, TimeoutError) as error:
                statuses[type(error).__name__] += 1

        begin, tasks = time.monotonic(), []
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
            tasks.append(asyncio.create_task(send(number)))
        await asyncio.gather(*tasks)
    return statuses, latencies


if __name__ == "__main__":
    main()
