"""Write a Keras model as a SavedModel with one signature, and read one back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.architectures import INPUT, OUTPUT, ModelSpec
from exporter.normalisation import normalise
from inference.backends.tensorflow.signatures import DEFAULT_SIGNATURE


def write(model: Any, spec: ModelSpec, path: Path) -> None:
    """Write `model` with its normalisation: UINT8 RGB `image` [N,H,W,3] to FP32 `probabilities`.

    Keeps only the variables, not the Keras objects that hold them: the file contains each weight
    once, and no training graph. Raises OSError.
    """

    def serve(image: Any) -> dict[str, Any]:
        answer = model(normalise(image, spec), training=False)
        return {OUTPUT: tf.cast(answer, tf.float32)}  # mixed precision ends in 16 bits

    image = tf.TensorSpec([None, spec.size, spec.size, 3], tf.uint8, name=INPUT)
    module = tf.Module()
    module.variables_served = [weight.value for weight in model.weights]
    function = tf.function(serve, input_signature=[image], autograph=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _plain(path) as plain:
            tf.saved_model.save(module, plain, signatures={DEFAULT_SIGNATURE: function})
    except tf.errors.OpError as error:  # above all a full disk
        # TensorFlow puts the cause between the file's name and the operation's.
        raise OSError(error.message.rpartition("; ")[2].partition(" [Op:")[0]) from error


def classify(path: Path, tensors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return what the SavedModel on disk answers: FP32 [N,classes]."""
    with _plain(path) as plain:
        signature = tf.saved_model.load(plain).signatures[DEFAULT_SIGNATURE]
    return np.asarray(signature(image=tf.constant(tensors))[OUTPUT])


@contextmanager
def _plain(path: Path) -> Iterator[str]:
    """Lend a short path to the same place: TensorFlow takes only UTF-8, and brackets as a pattern.

    It starts at no working directory: the user's may be gone.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
