"""Puts a model under load, by clients that ask again as soon as they are answered."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What some clients together saw: answers a second, and the median milliseconds of one."""

    throughput: float
    p50_ms: float

    def __str__(self) -> str:
        return f"{self.throughput:8.1f}/s, {self.p50_ms:7.1f} ms"


Figures = Mapping[int, Load]  # by the number of clients; empty for what cannot be served


def press(
    infer: Callable[[], None],
    clients: int,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Load:
    """Let clients call `infer` for some seconds, longer if one call takes longer."""
    done = threading.Event()

    def repeat() -> list[float]:
        times: list[float] = []
        while not done.is_set() or len(times) < 2:
            start = clock()
            infer()
            times.append(clock() - start)
        # An engine prepares itself for each size of batch it meets: the first quarter warms up.
        return times[max(1, len(times) // 4) :]

    with ThreadPoolExecutor(clients) as pool:
        try:
            loops = [pool.submit(repeat) for _ in range(clients)]
            time.sleep(seconds)
        finally:
            done.set()
    times = [loop.result() for loop in loops]
    throughput = sum(len(own) / sum(own) for own in times)
    median = statistics.median(each for own in times for each in own)
    return Load(throughput, median * 1000)
