"""A token bucket per client: a number of requests a second, with a short burst."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from gateway.errors import TooManyRequests

MOST_CLIENTS = 10_000
BURST_SECONDS = 2.0


class RateLimiter:
    """Allow each client `rate` requests a second; 0 allows everything."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, client: str, rate: float | None = None) -> None:
        """Count one request; raise TooManyRequests with the seconds until the next is allowed."""
        rate = self._rate if rate is None else rate
        if rate <= 0:
            return
        most = max(1.0, rate * BURST_SECONDS)
        with self._lock:
            now = self._clock()
            tokens, last = self._buckets.pop(client, (most, now))
            tokens = min(most, tokens + (now - last) * rate)
            allowed = tokens >= 1.0
            self._buckets[client] = (tokens - 1.0 if allowed else tokens, now)
            if len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
        if not allowed:
            raise TooManyRequests(f"At most {spelled(rate)}.", (1.0 - tokens) / rate)


def spelled(rate: float) -> str:
    """Spell a rate for people."""
    return "1 request a second" if rate == 1 else f"{rate:g} requests a second"
