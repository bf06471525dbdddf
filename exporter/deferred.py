"""Import TensorFlow only when it is needed: that takes seconds, and `--help` must not wait."""

import os
import tempfile
from pathlib import Path

from exporter.errors import ExportError
from exporter.job import Job
from exporter.quiet import quiet_stderr

# TensorFlow reads these once, when it is imported, and would otherwise tell the user about oneDNN
# and the GPUs this machine does not have. A level that the user has set is kept.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# What users prefer for their own work, in the environment or in keras.json, is not for ours.
os.environ["KERAS_BACKEND"] = "tensorflow"


def export(job: Job) -> str:
    """Export a version; return what to tell the user. Raises ExportError."""
    if job.file:
        _require_file(job.file)
    _require_temporary_directory()
    with quiet_stderr():
        from exporter.export import export  # noqa: PLC0415
    return export(job)


def _require_file(path: Path) -> None:
    """Fail at once if a file of weights is missing or unreadable. Raises ExportError."""
    try:
        is_file, is_directory = path.is_file(), path.is_dir()
        if is_file:
            path.open("rb").close()  # later, libraries would call it damaged
    except OSError as error:  # such as a directory on the way that this user may not enter
        raise ExportError(f"cannot read {path}: {error.strerror}") from None
    if is_directory:
        raise ExportError(
            f"{path} is a directory; a SavedModel needs no export, put it into the repository:"
            " see model_repository/README.md"
        )
    if not is_file:
        raise ExportError(
            f"there is no file {path}; WEIGHTS and --weights take imagenet, random or the path"
            " of a file"
        )


def _require_temporary_directory() -> None:
    """Fail at once where libraries could keep nothing: on a full disk. Raises ExportError."""
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise ExportError(f"{error.strerror}: make room there, or set TMPDIR") from None


def quantize(version_dir: Path, pictures: Path, minimum: float) -> str:
    """Write a version's int8 variant; return what to tell the user. Raises ExportError."""
    _require_temporary_directory()
    with quiet_stderr():
        from exporter.int8_variant import quantize  # noqa: PLC0415
    return quantize(version_dir, pictures, minimum)
