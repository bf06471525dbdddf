"""Compute with Keras what the served VGG16 must answer. Runs in the exporter's environment.

Reads tensors.npy (UINT8 RGB [N,224,224,3]) in the directory given and writes probabilities.npy, and
swapped.npy, which has what a client that mixed up red and blue would get.
"""

import sys
from pathlib import Path

import numpy as np
from keras.applications.vgg16 import preprocess_input

from exporter.architectures import ARCHITECTURES
from exporter.random_weights import random_model

directory = Path(sys.argv[1])
tensors = np.load(directory / "tensors.npy")
model = random_model(ARCHITECTURES["vgg16"])


def predict(pictures: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(preprocess_input(pictures.astype("float32")), verbose=0))


np.save(directory / "probabilities.npy", predict(tensors))
np.save(directory / "swapped.npy", predict(tensors[..., ::-1]))
