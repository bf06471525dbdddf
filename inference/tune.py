"""Fit a model's configuration to this machine: `python -m inference.tune MODEL`.

Exit status: 0 done, even if the default stays, 1 it could not be done, 2 a wrong setting.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends it silently

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from gateway.cpus import available_cpus
from gateway.setting import SettingError, argument, whole
from gateway.terminal import say
from inference.errors import LaunchError, TritonError
from inference.settings import Settings
from inference.signals import stopped_by_signals
from inference.tuning.bench import Bench, open_bench
from inference.tuning.candidate import Candidate
from inference.tuning.curve import draw
from inference.tuning.load import Figures
from inference.tuning.search import Measure, Search, fastest, gains, is_faster, middle
from inference.tuning.tuned import Tuned


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune, or say in one sentence why not; return the exit status."""
    options = _parser().parse_args(arguments)
    status = 130
    try:
        with stopped_by_signals():
            _run(options)
            status = 0
    except (LaunchError, SettingError, TritonError, OSError) as error:
        print(f"tune: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, SettingError) else 1
    if status:
        print("tune: interrupted; nothing was changed", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.tune",
        description="Measure a model with other precisions, instances, threads, batches and queue"
        " delays on a separate Triton. What is faster on this machine is kept in"
        " configs/HOST.pbtxt, which the next start uses. Run nothing else meanwhile.",
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="default: the only one")
    parser.add_argument(
        "--seconds", type=argument(whole(1)), default=120, metavar="S", help="default: 120"
    )
    parser.add_argument("--repository", type=Path, metavar="DIR", help="default: MODEL_REPOSITORY")
    parser.add_argument("--once", action="store_true", help="unless already done on this host")
    return parser


def _run(options: argparse.Namespace) -> None:
    """Find the model and tune it, unless `--once` is given and it was tuned before."""
    settings = Settings.from_env(os.environ, options.repository)
    tuned = Tuned.find(settings, options.model)
    if options.once and tuned.curve.exists():
        return
    with tuned.reserved():
        _tune(settings, tuned, options.seconds)


def _tune(settings: Settings, tuned: Tuned, seconds: int) -> None:
    """Measure, and write what is faster."""
    cpus = available_cpus()
    say(f"Tuning {tuned.model.name} takes about {seconds} s. CPUs: {cpus}.")
    with open_bench(settings, tuned) as bench, _shown(bench, seconds) as measure:
        search, default = Search(measure, seconds), bench.default
        axes = bench.axes(cpus)
        tried = search.narrow(default, axes)
        best = fastest(tried)
        same = [(tried[default], tried[default])]
        rounds = search.compare(default, best) if best != default else same
    was, won = (middle(figures) for figures in zip(*rounds, strict=True))
    curves = {f"default: {default}": was, f"best: {best}": won}
    _report(curves, gains(rounds), f"{len(tried)} of about {search.reach(default, axes)} tried")
    kept = best if is_faster(rounds) else default
    if tuned.save(kept, default, draw(curves, tried.values())):
        say(f"Wrote {tuned.path}, which the next start uses; {tuned.curve.name} shows the curve.")
    else:
        say(f"The default stays; {tuned.curve} shows the curve.")


def _report(curves: Mapping[str, Figures], found: Mapping[int, float], tried: str) -> None:
    for name, figures in curves.items():
        lines = [f"clients {clients:3}: {load}" for clients, load in figures.items()]
        say("\n  ".join([name, *lines]))
    gained = ", ".join(f"{gain - 1:+.1%} with {clients}" for clients, gain in found.items())
    say(f"{tried}; the best compared with the default: {gained or 'it failed'}.")


@contextmanager
def _shown(bench: Bench, seconds: int) -> Iterator[Measure]:
    """Lend the bench's `measure` with a bar that shows the time that has passed."""
    start = time.monotonic()
    form = "{desc}: {bar:24} {n_fmt}/{total_fmt} s{postfix}"
    with tqdm(total=seconds, desc="tuning", disable=None, leave=False, bar_format=form) as bar:

        def measure(candidate: Candidate, each: float) -> Figures:
            bar.set_postfix_str(str(candidate))
            figures = bench.measure(candidate, each)
            bar.update(min(round(time.monotonic() - start), seconds) - bar.n)
            return figures

        yield measure


if __name__ == "__main__":
    sys.exit(main())
