import numpy as np
import pytest

from exporter.architectures import ARCHITECTURES, ModelSpec
from exporter.golden import golden_tensor
from exporter.normalisation import normalise
from exporter.random_weights import random_model
from gateway.image import to_tensor
from tests.photos import photos

NAMES = ("mobilenet_v3_small", "efficientnet_lite0")  # the first one's softmax is a layer


def predict(model: object, tensors: np.ndarray, spec: ModelSpec) -> np.ndarray:
    return np.asarray(model(normalise(tensors, spec), training=False))


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_give_probabilities_worth_comparing(name: str) -> None:
    spec = ARCHITECTURES[name]
    model = random_model(spec)
    tensors = np.stack([to_tensor(photo.data, spec.contract) for photo in photos()])
    probabilities = predict(model, tensors, spec)
    swapped = predict(model, tensors[..., ::-1], spec)
    best = probabilities.max(axis=1)
    assert best.min() > 0.005
    assert np.median(best) < 0.9
    assert len(set(probabilities.argmax(axis=1))) > 3
    assert np.abs(probabilities - swapped).max() > 1e-2


def test_random_weights_are_the_same_every_time() -> None:
    spec = ARCHITECTURES["efficientnet_lite0"].resized(64)
    first, second = random_model(spec, 10), random_model(spec, 10)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    tensor = golden_tensor(spec.contract)[np.newaxis]
    assert predict(first, tensor, spec).shape == (1, 10)
