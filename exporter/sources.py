"""Where a model's weights come from: ImageNet's, random ones, or the user's own file."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.catalog import ModelSpec
from exporter.errors import ExportError, WeightsUnavailable
from exporter.keras_file import model_from_file
from exporter.labels import read_labels
from exporter.random_weights import random_model

PATIENCE = 10.0  # seconds without a byte from the network


@dataclass(frozen=True)
class Source:
    """A Keras model with weights and how config.pbtxt names them."""

    spec: ModelSpec
    model: Any
    weights: str

    @property
    def classes(self) -> int:
        return int(self.model.output_shape[-1])


def load(spec: ModelSpec, weights: str, labels: Path | None = None) -> Source:
    """Return the model with weights `imagenet`, `random` or from a file; raise ExportError."""
    if weights == "imagenet":
        return Source(spec, imagenet_model(spec), weights)
    if weights == "random":
        classes = len(read_labels(labels)) if labels else 1000
        return Source(spec, random_model(spec, classes), weights)
    path = Path(weights)
    spec, model = model_from_file(spec, path)
    return Source(spec, model, f"file:{path.name}")


def imagenet_model(spec: ModelSpec) -> Any:
    """Build the model with ImageNet weights, downloaded by Keras unless they are at hand."""
    try:
        with _patience():
            return spec.build("imagenet")
    except ExportError:
        raise
    # Keras raises a bare Exception when a download fails.
    except Exception as error:
        raise WeightsUnavailable(
            f"the ImageNet weights of {spec.name} cannot be downloaded ({_reason(error)}); "
            f"give them as a file (`python3 export_model.py {spec.name} --weights FILE`), "
            "export efficientnet_lite0, whose weights need no download, "
            "or test with --weights random"
        ) from error


@contextmanager
def _patience() -> Iterator[None]:
    """Make a network that does not answer fail soon; Keras sets no timeout."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: BaseException) -> str:
    """Return the end of an error's last line: Keras puts the cause after the address."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[-1].rpartition(": ")[2][:120]
