"""A repository of EfficientNet-Lite0 alone, for tests that change it."""

import shutil
from pathlib import Path

MODEL = "efficientnet_lite0"


def copy_repository(source: Path, target: Path) -> Path:
    """Copy the three models' text files and link their versions; return `target`."""
    for name in (MODEL, f"{MODEL}_decode", f"{MODEL}_image"):
        (target / name).mkdir(parents=True)
        for entry in (source / name).iterdir():
            if entry.is_dir():
                (target / name / entry.name).symlink_to(entry)
            else:
                shutil.copyfile(entry, target / name / entry.name)
    return target
