"""The model that `make serve` and the container serve when nobody has chosen one."""

import sys
from pathlib import Path

from exporter import deferred
from exporter.architectures import ARCHITECTURES
from exporter.companions import complete
from exporter.errors import ExportError, WeightsUnavailable
from exporter.job import Job
from gateway.model_names import ensemble_name, is_classifier
from gateway.preference import EMBEDDED, FLAGSHIP
from gateway.terminal import say
from inference.repository import ready_models


def ensure_default(repository: Path, weights: str) -> None:
    """Export the default model unless a classifier is ready; say in one line which one it is.

    `weights` is the setting WEIGHTS. A file with VGG16's weights, or "random", is exported if there
    is no VGG16 yet; empty means ImageNet's. Raises ExportError, above all for a file that does not
    fit.
    """
    ready = _ready(repository)
    for name in ready:
        _complete(repository, name)
    try:
        if not ready:
            _export_first(repository, weights or "imagenet")
        elif weights not in ("", "imagenet"):
            _export_beside(ready, repository, weights)
    except ExportError:
        if _ready(repository) == ready:
            raise
        ensure_default(repository, weights)  # another start has exported a model meanwhile


def _complete(repository: Path, name: str) -> None:
    try:
        complete(repository, name)
    except (ExportError, OSError) as error:  # the classifier can be served anyway
        _say(f"{ensemble_name(name)} is missing and cannot be written: {error}")


def _export_beside(ready: list[str], repository: Path, weights: str) -> None:
    """Add VGG16 to other models; keep an existing one, and say so."""
    if FLAGSHIP in ready:
        _say(
            f"{repository} already holds {FLAGSHIP}, which is served as it is; to add a version: "
            f"`python3 export_model.py {FLAGSHIP} --weights {weights}`"
        )
        return
    deferred.export(Job(ARCHITECTURES[FLAGSHIP], weights, repository, version=1))
    _say(f"added {FLAGSHIP} with {_described(weights)}, beside {', '.join(ready)}")


def _export_first(repository: Path, weights: str) -> None:
    try:
        deferred.export(Job(ARCHITECTURES[FLAGSHIP], weights, repository, version=1))
        _say(f"serving {FLAGSHIP} with {_described(weights)}")
    except WeightsUnavailable:
        deferred.export(Job(ARCHITECTURES[EMBEDDED], "imagenet", repository, version=1))
        _say(
            f"VGG16's ImageNet weights cannot be downloaded here, so {EMBEDDED} is served with its "
            "own real ImageNet weights (to use a file of VGG16's, set WEIGHTS to it)"
        )


def _ready(repository: Path) -> list[str]:
    """Name the classifiers that Triton could load."""
    return [name for name in ready_models(repository) if is_classifier(name)]


def _described(weights: str) -> str:
    if weights == "random":
        return "random weights, as requested: its labels mean nothing"
    return "ImageNet weights" if weights == "imagenet" else f"the weights in {weights}"


def _say(sentence: str) -> None:
    say(f"edgelens: {sentence}", sys.stderr)
