"""What the command line asks for."""

import os
from dataclasses import dataclass
from pathlib import Path

from exporter.architectures import ModelSpec


@dataclass(frozen=True)
class Job:
    """One version of a model to export.

    `weights` is "imagenet", "random" or the path of a file; a `version` of None means the next
    free one. Without a `name`, the model is called as its architecture is.
    """

    spec: ModelSpec
    weights: str
    repository: Path
    labels: Path | None = None
    version: int | None = None
    force: bool = False
    name: str | None = None

    @property
    def model(self) -> str:
        """Return what the model is called in the repository."""
        return self.name or self.spec.name

    @property
    def file(self) -> Path | None:
        """Return the file that holds the weights; None for ImageNet's and random ones."""
        return None if self.weights in ("imagenet", "random") else Path(self.weights)

    @property
    def weights_name(self) -> str:
        """Return what config.pbtxt, which is UTF-8, calls the weights."""
        if not self.file:
            return self.weights
        return f"file:{os.fsencode(self.file.name).decode(errors='replace')}"
