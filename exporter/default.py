"""The model that `make serve` and the container serve when nobody has chosen one."""

import sys
from pathlib import Path

from exporter import deferred
from exporter.catalog import CATALOG
from exporter.ensemble import decode_name, ensemble_name
from exporter.errors import WeightsUnavailable
from exporter.job import Job
from exporter.repository import versions

FLAGSHIP = "vgg16"
EMBEDDED = "efficientnet_lite0"
COMPANIONS = (decode_name(""), ensemble_name(""))


def ensure_default(repository: Path, weights: str) -> None:
    """Export the default model unless a classifier is ready; say in one line which one it is.

    `weights` is the setting WEIGHTS: a file of VGG16's, "random" to ask for those by name, or
    empty for ImageNet's. Raises ExportError, for a file that does not fit above all.
    """
    ready = _ready(repository)
    if ready:
        if weights not in ("", "imagenet"):
            _say(
                f"WEIGHTS is ignored, for {repository} already holds {', '.join(ready)}; "
                f"add a model with `python export_model.py {FLAGSHIP} --weights {weights}`"
            )
        return
    flagship = Job(CATALOG[FLAGSHIP], weights or "imagenet", repository)
    try:
        deferred.export(flagship)
        _say(f"serving {FLAGSHIP} with {_described(flagship.weights)}")
    except WeightsUnavailable:
        deferred.export(Job(CATALOG[EMBEDDED], "imagenet", repository))
        _say(
            f"VGG16's ImageNet weights cannot be downloaded here, so {EMBEDDED} is served with its "
            "own real ImageNet weights (WEIGHTS=FILE make serve takes a file of VGG16's)"
        )


def _ready(repository: Path) -> list[str]:
    """Name the classifiers that Triton could load."""
    if not repository.is_dir():
        return []
    names = sorted(path.name for path in repository.iterdir() if versions(path))
    return [name for name in names if not name.startswith(".") and not name.endswith(COMPANIONS)]


def _described(weights: str) -> str:
    if weights == "random":
        return "random weights, as asked for: its labels mean nothing"
    return "ImageNet weights" if weights == "imagenet" else f"the weights in {weights}"


def _say(sentence: str) -> None:
    print(f"edgelens: {sentence}", file=sys.stderr)
