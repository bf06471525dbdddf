"""The directory in which converted models are kept for the next start."""

import tempfile
from pathlib import Path


def drawback(path: Path) -> str:
    """Say in one line what it costs that the directory cannot be written; "" if it can."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return ""
    except OSError as exc:
        return (
            f"Cannot keep converted models in {path} ({exc.strerror}): each start converts again"
            " what is not there, and takes longer. Set EDGELENS_CACHE_DIR to a directory you can"
            " write to."
        )
