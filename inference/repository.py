"""Reads the model repository's directory: which models Triton can load."""

import os.path
from pathlib import Path

from gateway.model_names import NAME, companions, ensemble_name, is_apart
from gateway.setting import LARGEST, SettingError
from inference.backends.tensorflow.location import SAVED_MODEL
from inference.errors import LaunchError
from inference.pbtxt import PbtxtError, parse, read

OF_A_MODEL = ("config.pbtxt", SAVED_MODEL, "saved_model.pb")


def ready_models(repository: Path) -> list[str]:
    """Name the models that have a version to load: a directory with a whole number as its name."""
    models = _models(repository)
    return [model.name for model in models if versions_in(model) and not _why_not(model)]


def unserved(repository: Path) -> list[str]:
    """Say in one sentence each why directories that look like models are not served."""
    return [reason for model in _models(repository) if (reason := _why_not(model))]


def _why_not(model: Path) -> str:
    """Say why a directory is not served; "" if it is, or holds nothing of a model."""
    name = model.name
    if versions := versions_in(model):
        if not NAME.fullmatch(name):
            return f"{name!r} is no name for a model: use at most 128 letters, digits, _, . and -."
        if versions[-1] > LARGEST:  # Triton would end
            return f"{name}/{versions[-1]} is no version: use numbers up to {LARGEST}."
        if classifier := _removed_classifier(model):
            rest = " and ".join(companions(classifier))
            return f"{name} leads to {classifier}, which is not here; remove {rest}, too."
        return ""
    if any(os.path.exists(model / part) for part in OF_A_MODEL):  # noqa: PTH110 (never raises)
        return f"{name} has no version; its SavedModel belongs in {name}/1/model.savedmodel."
    return ""


def _removed_classifier(ensemble: Path) -> str:
    """Name the classifier that an ensemble was left without: Triton would not start; "" if none."""
    classifier = ensemble.name.removesuffix(ensemble_name(""))
    if classifier in ("", ensemble.name) or versions_in(ensemble.with_name(classifier)):
        return ""
    try:
        steps = parse(read(ensemble / "config.pbtxt")).ensemble_scheduling.step
    except (OSError, PbtxtError):  # Triton says what is wrong with it
        return ""
    return classifier if classifier in [step.model_name for step in steps] else ""


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


def require_models(repository: Path) -> list[str]:
    """Name the models to load. Raises LaunchError if there is none."""
    models = ready_models(repository)
    if models:
        return models
    if reasons := unserved(repository):
        raise LaunchError(f"No model is ready in {repository}: {reasons[0]}")
    raise LaunchError(
        f"No model is ready in {repository}: export one with"
        " `python3 export_model.py efficientnet_lite0`, or set MODEL_REPOSITORY."
    )


def configurations_in(directory: Path) -> list[Path]:
    """List a model's config.pbtxt, if there is one, and what Triton reads instead on some hosts."""
    return [*directory.glob("config.pbtxt"), *directory.glob("configs/*.pbtxt")]


def versions_in(model: Path) -> list[int]:
    """List the versions in a model's directory, ascending; an unreadable one has none."""
    try:
        names = [entry.name for entry in model.iterdir() if entry.is_dir()]
    except OSError:  # no directory, the lost+found of a volume, a link to itself
        return []
    return sorted(int(n) for n in names if n.isascii() and n.isdigit() and not n.startswith("0"))
