"""The configurations in `configs/*.pbtxt`, of which Triton may read one instead of config.pbtxt."""

from pathlib import Path

from exporter.config import read_config, with_version
from exporter.golden import Golden
from inference.tuning import MARK
from inference.writing import write_text


def amend_host_configs(
    model_dir: Path, version: int, weights: str, golden: Golden, anew: bool
) -> None:
    """Write what config.pbtxt says about a version into these configurations too.

    If the model begins `anew` with this version, what was tuned for the old one is removed.
    """
    for path in (model_dir / "configs").glob("*.pbtxt"):
        text = read_config(path)
        if anew and text.startswith(MARK):
            path.unlink()
            path.with_suffix(".svg").unlink(missing_ok=True)
        else:
            write_text(path, with_version(text, version, weights, golden))
