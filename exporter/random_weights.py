"""Keras models with random weights, whose answers are worth comparing."""

from typing import Any

import numpy as np
import numpy.typing as npt
from keras import Model

from exporter.architectures import ModelSpec
from exporter.golden import golden_tensor
from exporter.normalisation import normalise

SEED = 2  # of the first six seeds, the one that makes VGG16 surest of the golden picture
# Standard deviation of the logits; the best of 1,000 classes then gets 2 to 20 %. At 3, bf16 made
# VGG16's answer differ by 0.16: it failed its own self-test.
SPREAD = 2.0


def random_model(spec: ModelSpec, classes: int = 1000) -> Any:
    """Return the model with random weights, the same ones every time.

    The answer depends on the picture, its detail and its colours. It is neither certain of one
    class nor the same for all, so that a test that compares probabilities sees a mistake.
    """
    model = spec.build(None, classes)
    generator = np.random.default_rng(SEED)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([_initial(weight, generator) for weight in layer.weights])
    _spread_logits(model, spec, generator)
    return model


def _initial(weight: Any, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    shape = tuple(weight.shape)
    if weight.name in ("gamma", "moving_variance"):
        return np.ones(shape, np.float32)
    if "kernel" not in weight.name:
        return np.zeros(shape, np.float32)
    return _he_normal(shape, "depthwise" in weight.path, generator)


def _he_normal(
    shape: tuple[int, ...], depthwise: bool, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return He's initial weights, without the part that responds to the mean of its input.

    ReLU's outputs are positive: in each layer, their mean would drown what distinguishes pictures.
    """
    inputs = int(np.prod(shape[:2] if depthwise else shape[:-1]))
    kernel = generator.standard_normal(shape, np.float32)
    kernel *= np.float32(np.sqrt(2.0 / inputs))
    if not depthwise and inputs > 64:
        kernel -= kernel.mean(axis=tuple(range(len(shape) - 1)), keepdims=True)
    return kernel


def _spread_logits(model: Any, spec: ModelSpec, generator: np.random.Generator) -> None:
    """Centre and scale the last layer so that pictures get probabilities worth comparing."""
    head = next(layer for layer in reversed(model.layers) if layer.weights)
    pictures = normalise(_reference(golden_tensor(spec.contract), generator), spec)
    logits = np.asarray(_logits(model, head)(pictures, training=False))
    kernel, bias = head.get_weights()
    scale = SPREAD / logits.std(axis=0).mean()
    head.set_weights([kernel * scale, (bias - logits.mean(axis=0)) * scale])


def _logits(model: Any, head: Any) -> Any:
    """Return the part of a model before its softmax, which is a layer or the head's activation."""
    if head is not model.layers[-1]:
        return Model(model.input, model.layers[-1].input)
    before = Model(model.input, head.input)
    linear = type(head).from_config({**head.get_config(), "activation": None})
    logits = Model(model.input, linear(before.output))
    linear.set_weights(head.get_weights())
    return logits


def _reference(
    photo: npt.NDArray[np.uint8], generator: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return pictures as different as a network may meet, UINT8 [N,size,size,3]."""
    size = len(photo)
    total = np.zeros((2, size, size, 3), np.float32)
    for cells in (4, 16, 64):
        repeat = -(-size // cells)
        coarse = generator.standard_normal((2, cells, cells, 3), np.float32)
        total += coarse.repeat(repeat, axis=1).repeat(repeat, axis=2)[:, :size, :size]
    invented = np.clip(128 + 40 * total, 0, 255).astype(np.uint8)
    return np.stack([photo, photo[::-1, :, ::-1], 255 - photo, photo // 4, *invented])
