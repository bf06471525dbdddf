"""Keep a running gateway busy for a long time and report how the memory of its stack moves.

    python -m tests.chaos.soak --minutes 30 [--url http://127.0.0.1:5000]

Needs a running `make serve` on this machine; its processes are found by its supervisor.
"""

import argparse
import contextlib
import statistics
import time

import psutil

from tests.chaos.load import steady_load

INTERVAL = 10.0  # seconds between two looks at memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--url", default="http://127.0.0.1:5000")
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    supervisor = next((p for p in psutil.process_iter() if "serve.py" in _words(p)[1:2]), None)
    if supervisor is None:
        raise SystemExit("soak: no `make serve` runs on this machine; start it first")
    begin, samples = time.monotonic(), []
    with steady_load(arguments.url, arguments.clients) as load:
        while (elapsed := time.monotonic() - begin) < arguments.minutes * 60:
            samples.append((elapsed, _memory(supervisor)))
            print(f"[{elapsed:6.0f} s] {samples[-1][1] / 1e6:.0f} MB; {load}", flush=True)
            time.sleep(INTERVAL)
    settled = samples[len(samples) // 4 :]
    slope = statistics.linear_regression(*zip(*settled, strict=True)).slope
    print(f"\n{load}\nmemory slope: {slope * 3600 / 1e6:+.1f} MB an hour")
    if load.wrong:
        raise SystemExit(1)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _memory(supervisor: psutil.Process) -> int:
    """Return the proportional set size of the whole stack, in bytes."""
    total = 0
    for process in supervisor.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


if __name__ == "__main__":
    main()
