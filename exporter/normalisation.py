"""Turn RGB values of 0-255 into what a network's first layer takes, in numpy and TensorFlow."""

from typing import Any

import numpy as np
import tensorflow as tf

from exporter.architectures import ModelSpec, Normalisation

CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # BGR
TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
TORCH_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def normalise(image: Any, spec: ModelSpec) -> Any:
    """Return UINT8 RGB [N,H,W,3] as the FP32 tensor that the spec's Keras model takes."""
    x = tf.cast(image, tf.float32)
    match spec.normalisation:
        case Normalisation.CAFFE:
            return x[..., ::-1] - CAFFE_MEAN
        case Normalisation.SYMMETRIC:
            return x / 127.5 - 1.0
        case Normalisation.TORCH:
            return (x / 255.0 - TORCH_MEAN) / TORCH_DEVIATION
        case Normalisation.LITE:
            return (x - 127.0) / 128.0
        case Normalisation.NONE:
            return x
