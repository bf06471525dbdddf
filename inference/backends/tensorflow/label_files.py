"""The label files of a classifier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.backends.tensorflow.errors import LoadError
from inference.model_config import has_contract


def check_label_files(config: Mapping[str, Any], model: Path) -> None:
    """Raise LoadError unless the label files in a model's directory name each class once.

    A line too many or too few mostly means that every label belongs to another class. A model
    without a contract is left alone, as NVIDIA's backend did.
    """
    for output in config.get("output", []) if has_contract(config) else ():
        name, classes = output.get("label_filename"), int(output["dims"][-1])
        found = _lines(model / name) if name else classes
        if classes not in (found, -1):
            raise LoadError(
                f"{name} names {found} classes, but output '{output['name']}' has {classes}: give"
                " one label per line, in the order of the classes"
            )


def _lines(path: Path) -> int:
    """Count a file's lines as Triton does, without the empty ones at the end."""
    return len(path.read_bytes().rstrip().split(b"\n"))
