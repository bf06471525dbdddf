"""Reads the model repository's directory: which models Triton can load."""

import os.path
from pathlib import Path

from inference.errors import LaunchError, SettingError

OF_A_MODEL = ("config.pbtxt", "model.savedmodel", "saved_model.pb")


def ready_models(repository: Path) -> list[str]:
    """Name the models that have a version to load: a directory with a whole number as its name."""
    return [model.name for model in _models(repository) if versions_in(model)]


def without_version(repository: Path) -> list[str]:
    """Name the directories that hold what belongs to a model, but no version of it."""
    return [
        model.name
        for model in _models(repository)
        if not versions_in(model) and any(os.path.exists(model / name) for name in OF_A_MODEL)  # noqa: PTH110 (never raises)
    ]


def _models(repository: Path) -> list[Path]:
    """List what may be models, by name; a missing repository has none. Raises SettingError."""
    try:
        return sorted(entry for entry in repository.iterdir() if not is_apart(entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise SettingError(
            f"Cannot read {repository} ({exc.strerror}): set MODEL_REPOSITORY to a directory that"
            " you can read."
        ) from None


def is_apart(model: str) -> bool:
    """Tell whether a model is not to be served: a version under test, or an unfinished export."""
    return model.startswith(".")


def decode_name(model: str) -> str:
    """Name the model that decodes pictures for a classifier."""
    return f"{model}_decode"


def ensemble_name(model: str) -> str:
    """Name the ensemble through which a classifier takes encoded pictures."""
    return f"{model}_image"


def companions(model: str) -> tuple[str, str]:
    """Name the models beside a classifier, for clients that send pictures to Triton itself."""
    return decode_name(model), ensemble_name(model)


def is_classifier(model: str) -> bool:
    """Tell whether a model is one that people choose: neither apart nor another's companion."""
    return not is_apart(model) and not model.endswith(companions(""))


def require_models(repository: Path) -> list[str]:
    """Name the models to load. Raises LaunchError if there is none."""
    models = ready_models(repository)
    if models:
        return models
    if lacking := without_version(repository):
        raise LaunchError(f"No model is ready in {repository}: {lacks_version(lacking[0])}")
    raise LaunchError(
        f"No model is ready in {repository}: export one with"
        " `python3 export_model.py efficientnet_lite0`, or set MODEL_REPOSITORY."
    )


def lacks_version(model: str) -> str:
    """Say why a model is not served."""
    return f"{model} has no version; its SavedModel belongs in {model}/1/model.savedmodel."


def versions_in(model: Path) -> list[int]:
    """List the versions in a model's directory, ascending; an unreadable one has none."""
    try:
        names = [entry.name for entry in model.iterdir() if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # lost+found of a volume
        return []
    return sorted(int(n) for n in names if n.isascii() and n.isdigit() and not n.startswith("0"))
