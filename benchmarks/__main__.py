"""Compare EdgeLens with its peers: `make bench`, at most fifteen minutes on two cores.

Exported and quantised models are kept in .cache/bench; preparing them is timed separately.
"""

import argparse
import re
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.clock import Clock
from benchmarks.interruption import until_interrupted
from benchmarks.places import KEPT
from benchmarks.preparation import prepare
from benchmarks.report import RESULTS, write
from benchmarks.run import Run, Size
from gateway.setting import argument, number, whole


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    if options.pictures and not options.pictures.is_dir():
        parser.error(f"there is no directory {options.pictures}")
    if missing := [name for name in ("wrk", "haproxy") if not shutil.which(name)]:
        parser.error(f"{' and '.join(missing)} must be in PATH: `make bench` installs them")
    return until_interrupted("bench", partial(_run, options))


def _run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    prepared = prepare(options.pictures)
    seconds = time.monotonic() - began
    print(f"prepared in {seconds:.0f} s; measuring begins", file=sys.stderr, flush=True)
    size = Size(options.rounds, options.seconds, options.only)
    with tempfile.TemporaryDirectory(prefix="edgelens-bench-") as scratch:
        run = Run(prepared, Clock(options.minutes), size, Path(scratch), KEPT / "results")
        run.results["preparation_seconds"] = round(seconds)
        page = run.measure()
    if not options.only:  # only a whole run that has ended replaces the last one
        page = write(run.results, RESULTS)
    print(page.read_text())
    print(f"What the contenders printed is in {KEPT / 'logs'}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--minutes", type=argument(number(0.1, 1e6)), default=15, help="time limit (default: 15)"
    )
    parser.add_argument(
        "--rounds", type=argument(whole(1)), default=3, help="most rounds (default: 3)"
    )
    parser.add_argument(
        "--seconds", type=argument(number(0.1, 1e6)), default=5, help="per measurement (default: 5)"
    )
    parser.add_argument(
        "--only",
        type=_pattern,
        default="",
        help="regular expression: only the contenders and parts whose names match it; the results "
        "stay in .cache/bench/results",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        help="directory of photographs for int8; without it EfficientNet-Lite0 is calibrated on "
        "variants of the test photographs, and its agreement is not measured",
    )
    return parser


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text} is not a regular expression: {error}") from None
    return text


if __name__ == "__main__":
    sys.exit(main())
