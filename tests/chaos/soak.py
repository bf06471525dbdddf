"""Keep a running gateway busy for a long time and report how the memory of its stack moves.

Needs a running `make serve` on this machine; finds its processes through its supervisor.
"""

import argparse
import os
import statistics
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.chaos.load import steady_load
from tests.places import HOME

INTERVAL = 10.0  # seconds between two looks at memory


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    own = f"http://127.0.0.1:{os.environ.get('PORT') or 5000}"
    parser.add_argument("--url", default=own)
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    supervisor = next(filter(_is_ours, psutil.process_iter()), None)
    if supervisor is None:
        raise SystemExit("soak: no `make serve` of this directory runs; start it first")
    begin, samples = time.monotonic(), []
    # Ctrl-C ends it early, with its report.
    with suppress(KeyboardInterrupt), steady_load(arguments.url, arguments.clients) as load:
        while (elapsed := time.monotonic() - begin) < arguments.minutes * 60:
            samples.append((elapsed, memory(supervisor)))
            print(f"[{elapsed:6.0f} s] {samples[-1][1] / 1e6:.0f} MB; {load}", flush=True)
            time.sleep(INTERVAL)
    print(f"\n{load}")
    settled = samples[len(samples) // 4 :]
    if len(settled) > 1:
        slope = statistics.linear_regression(*zip(*settled, strict=True)).slope
        print(f"memory slope: {slope * 3600 / 1e6:+.1f} MB an hour")
    if load.wrong or not load.answered:
        raise SystemExit("soak: wrong answers" if load.wrong else "soak: nothing was answered")


def _is_ours(process: psutil.Process) -> bool:
    """Tell whether a process is the `make serve` of this directory."""
    try:
        return "serve.py" in process.cmdline()[1:2] and Path(process.cwd()) == HOME
    except psutil.Error:
        return False


def memory(supervisor: psutil.Process) -> int:
    """Return the proportional set size of the whole stack, in bytes."""
    total = 0
    try:
        processes = supervisor.children(recursive=True)
    except psutil.NoSuchProcess:
        raise SystemExit("soak: `make serve` has ended") from None
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


if __name__ == "__main__":
    main()
