"""What must be there before anything is measured."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks import exports
from benchmarks.contenders import edgelens
from benchmarks.exports import ROOT, WEIGHTS
from benchmarks.limits import Limits
from benchmarks.places import PHOTOS
from benchmarks.repositories import PRECISIONS, Repositories
from benchmarks.servers import running


@dataclass(frozen=True)
class Prepared:
    """Repositories, int8's agreement with f32, and each model's labels of the first photograph."""

    repositories: Repositories
    agreement: float | None
    best: dict[str, list[str]]


def prepare(pictures: Path | None) -> Prepared:
    """Export, quantise, lay out, and start each model once, so that later starts find its cache."""
    agreement = exports.prepare(pictures)
    repositories = Repositories(ROOT)
    repositories.lay_out()
    started = ROOT / "started"  # removed when the models are exported again
    if not started.exists():
        _start(repositories)
        started.touch()
    return Prepared(repositories, agreement, Limits(repositories).labels(PHOTOS[0]))


def _start(repositories: Repositories) -> None:
    for model in WEIGHTS:
        for precision in PRECISIONS:
            with running(edgelens("first start", repositories, model, precision)):
                pass
