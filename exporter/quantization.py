"""Which version `--quantize` works on: the newest or the one named, exported first if missing."""

from pathlib import Path

from exporter import deferred
from exporter.config import LABEL_FILE, read_config
from exporter.errors import ExportError
from exporter.job import Job
from exporter.labels import read_labels
from exporter.pictures import files_in, require_enough
from exporter.target import require_writable
from gateway.terminal import say
from inference.pbtxt import parameters
from inference.repository import versions_in


def quantize_version(job: Job, weights: str | None, pictures: Path, minimum: float) -> None:
    """Add an int8 variant to a version of the model; ExportError leaves the version as it was.

    `weights` is what the command line says, None if nothing: a version that is not the one asked
    for is not quantised by mistake.
    """
    model_dir = job.repository / job.model
    version, exists = _meant(model_dir, job.version, pictures)
    if not exists:
        require_enough(files_in(pictures), job.spec.contract)  # before minutes are spent
        say(deferred.export(job))
    else:
        _require_same(job, weights, model_dir, version)
    say(deferred.quantize(model_dir / str(version), pictures, minimum))


def quantize_existing(model_dir: Path, version: int | None, pictures: Path, minimum: float) -> None:
    """Add an int8 variant to a version that is there, whoever wrote it. Raises ExportError."""
    version, exists = _meant(model_dir, version, pictures)
    if not exists:
        raise ExportError(
            f"there is no version {version} of {model_dir.name} in {model_dir.parent}; to export"
            " one, name its architecture, too: see --list"
        )
    say(deferred.quantize(model_dir / str(version), pictures, minimum))


def _meant(model_dir: Path, named: int | None, pictures: Path) -> tuple[int, bool]:
    """Return the version to quantise, the newest unless one is named, and whether it is there.

    Raises ExportError, before minutes are spent, if nothing could be read or written.
    """
    if not pictures.is_dir():
        raise ExportError(f"there is no directory {pictures}; --quantize takes one of pictures")
    require_writable(model_dir)
    existing = versions_in(model_dir)
    version = named or max(existing, default=1)
    return version, version in existing


def _require_same(job: Job, weights: str | None, model_dir: Path, version: int) -> None:
    """Refuse a version that is not what the command line says. Raises ExportError."""
    if job.force:
        raise ExportError(
            f"version {version} in {model_dir} exists: replace it with --force first, without"
            " --quantize, then quantise it"
        )
    if weights is not None:
        _require_weights(model_dir, version, job.weights_name)
    if job.labels and read_labels(job.labels) != read_labels(model_dir / LABEL_FILE):
        raise ExportError(
            f"version {version} in {model_dir} has other labels than {job.labels}; leave --labels"
            " out, or export a version with them first, without --quantize"
        )


def _require_weights(model_dir: Path, version: int, wanted: str) -> None:
    config = model_dir / "config.pbtxt"
    text = read_config(config) if config.is_file() else ""
    have = parameters(text).get(f"weights_v{version}", "unknown")
    if have != wanted:
        raise ExportError(
            f'version {version} in {model_dir} has weights "{have}", not "{wanted}"; '
            "export those first, without --quantize, then quantise that version"
        )
