"""What a user's model does to the values of a picture before its first convolution."""

from collections.abc import Iterator
from typing import Any

import keras

# These leave the values of pixels alone when a model is not being trained: they pad, cut, resize or
# augment the training data.
HARMLESS = (
    keras.layers.InputLayer,
    keras.layers.Identity,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.CenterCrop,
    keras.layers.Resizing,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
)
AUGMENTATION = "Random"


def own_preprocessing(model: Any) -> list[str]:
    """Name the operations that may change the pixels' values before the first convolution.

    The operations of a graph count like layers: `preprocess_input` becomes GetItem and Add, for
    example.
    """
    found = list(parts(model))
    first = next((i for i, part in enumerate(found) if isinstance(part, keras.layers.Conv2D)), 0)
    return [_described(part) for part in found[:first] if not _is_harmless(part)]


def parts(model: Any) -> Iterator[Any]:
    """Yield a model's layers and operations in the order of its graph, nested ones in their place.

    `layers` leaves out everything in a graph that is not a layer.
    """
    sequential = isinstance(model, keras.Sequential)
    for part in model.layers if sequential else model.operations:
        if isinstance(part, keras.Model):
            yield from parts(part)
        else:
            yield part


def _is_harmless(part: Any) -> bool:
    return isinstance(part, HARMLESS) or type(part).__name__.startswith(AUGMENTATION)


def _described(part: Any) -> str:
    return f"{type(part).__name__} {part.name}"
