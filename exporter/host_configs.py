"""The configurations in `configs/*.pbtxt`, of which Triton may read one instead of config.pbtxt."""

from collections.abc import Mapping
from pathlib import Path

from exporter.config import read_config
from inference.pbtxt import with_parameters
from inference.tuning import MARK
from inference.writing import write_text


def amend_host_configs(model_dir: Path, added: Mapping[str, str], anew: bool) -> None:
    """Write the parameters added to config.pbtxt for a version into these configurations too.

    If the model begins `anew` with this version, what was tuned for the old one is removed.
    """
    for path in (model_dir / "configs").glob("*.pbtxt"):
        text = read_config(path)
        if anew and text.startswith(MARK):
            path.unlink()
            path.with_suffix(".svg").unlink(missing_ok=True)
        else:
            write_text(path, with_parameters(text, added))
