"""Where a model's files are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.backends.tensorflow.errors import LoadError

SAVED_MODEL = "model.savedmodel"
GRAPHDEF = "tensorflow_graphdef"


def savedmodel_of(config: Mapping[str, Any], version: Path) -> Path:
    """Name the SavedModel of a version directory. Raises LoadError if it cannot be one."""
    if config.get("platform") == GRAPHDEF:
        raise LoadError(
            f"platform {GRAPHDEF} is not supported: export the model as a SavedModel and set"
            ' platform: "tensorflow_savedmodel"'
        )
    path = version / (config.get("default_model_filename") or SAVED_MODEL)
    if not path.is_dir():
        raise LoadError(f"{path} is missing: a SavedModel is a directory of that name")
    return path


def version_directory(arguments: Sequence[str]) -> Path:
    """Find the version directory during auto-complete: the stub's first argument lies in it."""
    if len(arguments) < 2:
        raise LoadError(f"the stub's arguments do not say where the model is: {arguments}")
    version = Path(arguments[1]).parent
    if not version.is_dir():
        raise LoadError(f"{version} is gone: it was removed while the model was being loaded")
    return version
