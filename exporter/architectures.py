"""The table of models that can be exported. Importing it does not import TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pkgutil import resolve_name
from typing import Any

from gateway.contract import Contract

# The names of every exported model's input and output.
INPUT = "image"
OUTPUT = "probabilities"


class Normalisation(StrEnum):
    """What is done inside the SavedModel to RGB values of 0-255 before the first layer."""

    NONE = "x, which the network normalises itself"
    CAFFE = "x in BGR - ImageNet's mean"
    SYMMETRIC = "x / 127.5 - 1"
    TORCH = "(x / 255 - ImageNet's mean) / standard deviation"
    LITE = "(x - 127) / 128"


@dataclass(frozen=True)
class ModelSpec:
    """One architecture: how to build it and what input it takes."""

    name: str
    builder: str  # "module:function", which is imported when it is needed
    normalisation: Normalisation
    about: str
    size: int = 224
    resize_shorter_side: int = 256

    @property
    def contract(self) -> Contract:
        """Say how a picture becomes this model's input tensor."""
        return Contract(
            width=self.size,
            height=self.size,
            resize_shorter_side=self.resize_shorter_side,
            crop="center",
            interpolation="cubic",
            colour_order="RGB",
            value_range="0-255",
        )

    def build(self, weights: str | None, classes: int = 1000, top: bool = True) -> Any:
        """Return the Keras model, which takes normalised float input.

        Without `top` it ends at its last convolution.
        """
        shape = (self.size, self.size, 3)
        builder = resolve_name(self.builder)
        return builder(weights=weights, classes=classes, input_shape=shape, include_top=top)

    def resized(self, size: int) -> "ModelSpec":
        """Return the same model for another input size, showing it the same part of a picture."""
        shorter_side = round(size * self.resize_shorter_side / self.size)
        return replace(self, size=size, resize_shorter_side=shorter_side)


_KERAS = "keras.applications"
_SPECS = (
    ModelSpec("vgg16", f"{_KERAS}.vgg16:VGG16", Normalisation.CAFFE, "the flagship; 553 MB"),
    ModelSpec("vgg19", f"{_KERAS}.vgg19:VGG19", Normalisation.CAFFE, "a deeper VGG; 575 MB"),
    ModelSpec(
        "efficientnet_lite0",
        "exporter.efficientnet_lite:efficientnet_lite0",
        Normalisation.LITE,
        "for small machines; its weights need no download; 19 MB",
    ),
    ModelSpec(
        "resnet50", f"{_KERAS}.resnet:ResNet50", Normalisation.CAFFE, "a common standard; 102 MB"
    ),
    ModelSpec(
        "densenet121",
        f"{_KERAS}.densenet:DenseNet121",
        Normalisation.TORCH,
        "few weights, much computation; 32 MB",
    ),
    ModelSpec(
        "inception_v3",
        f"{_KERAS}.inception_v3:InceptionV3",
        Normalisation.SYMMETRIC,
        "takes 299x299 pixels; 95 MB",
        size=299,
        resize_shorter_side=342,
    ),
    ModelSpec(
        "mobilenet_v2",
        f"{_KERAS}.mobilenet_v2:MobileNetV2",
        Normalisation.SYMMETRIC,
        "small and fast; 14 MB",
    ),
    ModelSpec(
        "mobilenet_v3_small",
        f"{_KERAS}:MobileNetV3Small",
        Normalisation.NONE,
        "the smallest and fastest; 10 MB",
    ),
    ModelSpec(
        "mobilenet_v3_large",
        f"{_KERAS}:MobileNetV3Large",
        Normalisation.NONE,
        "small, more accurate; 22 MB",
    ),
    ModelSpec(
        "efficientnet_v2_b0",
        f"{_KERAS}.efficientnet_v2:EfficientNetV2B0",
        Normalisation.NONE,
        "accurate for its size; 29 MB",
    ),
)
ARCHITECTURES: Mapping[str, ModelSpec] = {spec.name: spec for spec in _SPECS}
