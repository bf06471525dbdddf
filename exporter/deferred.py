"""The doors to what needs TensorFlow, whose import takes seconds: `--help` must not wait for it."""

from pathlib import Path

from exporter.job import Job
from exporter.quiet import quiet_stderr


def export(job: Job) -> str:
    """Export a version; return what to tell the user. Raises ExportError."""
    with quiet_stderr():
        from exporter.export import export  # noqa: PLC0415
    return str(export(job))


def quantize(version_dir: Path, pictures: Path, minimum: float) -> str:
    """Write a version's int8 variant; return what to tell the user. Raises ExportError."""
    with quiet_stderr():
        from exporter.quantize import quantize  # noqa: PLC0415
    return quantize(version_dir, pictures, minimum)
