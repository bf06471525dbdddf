import keras
import numpy as np
import pytest

from exporter.architectures import ARCHITECTURES
from exporter.normalisation import normalise

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3)).astype(np.uint8)
REFERENCES = {
    "vgg16": keras.applications.vgg16,
    "vgg19": keras.applications.vgg19,
    "resnet50": keras.applications.resnet,
    "densenet121": keras.applications.densenet,
    "inception_v3": keras.applications.inception_v3,
    "mobilenet_v2": keras.applications.mobilenet_v2,
    "mobilenet_v3_small": keras.applications.mobilenet_v3,
    "mobilenet_v3_large": keras.applications.mobilenet_v3,
    "efficientnet_v2_b0": keras.applications.efficientnet_v2,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_it_is_what_keras_does_for_this_model(name: str) -> None:
    expected = REFERENCES[name].preprocess_input(PICTURES.astype(np.float32))
    np.testing.assert_allclose(normalise(PICTURES, ARCHITECTURES[name]), expected, atol=1e-5)


def test_efficientnet_lite0_is_fed_what_it_was_trained_with() -> None:
    pixels = np.array([[[[0, 127, 255]]]], np.uint8)
    values = np.asarray(normalise(pixels, ARCHITECTURES["efficientnet_lite0"])).ravel()
    assert values.tolist() == [-127 / 128, 0, 1]


def test_every_model_is_compared_with_its_reference() -> None:
    assert set(ARCHITECTURES) == {*REFERENCES, "efficientnet_lite0"}
