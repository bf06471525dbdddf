"""Where a model's weights come from: ImageNet's, random ones, or the user's own file."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from exporter.architectures import ModelSpec
from exporter.errors import ExportError, WeightsUnavailable
from exporter.job import Job
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


def load(job: Job) -> Source:
    """Return the model with the weights asked for; raise ExportError."""
    _set_preferences_aside()
    spec = job.spec
    if job.file:
        spec, model = model_from_file(spec, job.file)
    elif job.weights == "imagenet":
        model = imagenet_model(spec)
    else:
        model = random_model(spec, len(read_labels(job.labels)) if job.labels else 1000)
    return Source(spec, model, job.weights_name)


def _set_preferences_aside() -> None:
    """Build what the contract says, whatever the user's keras.json says of types and of axes."""
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)


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
            "give them as a file (--weights FILE), export efficientnet_lite0, whose weights need "
            "no download, or test with --weights random"
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
