from pathlib import Path

import numpy as np
import pytest

from exporter import efficientnet_lite
from exporter.architectures import ARCHITECTURES
from exporter.efficientnet_lite import efficientnet_lite0, imagenet_file, load_pth
from exporter.errors import ExportError
from exporter.normalisation import normalise
from gateway.image import to_tensor
from tests.photos import photos

SPEC = ARCHITECTURES["efficientnet_lite0"]


def test_every_photo_gets_its_label() -> None:
    tensors = np.stack([to_tensor(photo.data, SPEC.contract) for photo in photos()])
    model = efficientnet_lite0("imagenet")
    best = np.asarray(model(normalise(tensors, SPEC), training=False)).argmax(axis=1)
    assert best.tolist() == [photo.index for photo in photos()]


def test_weights_for_other_classes_are_refused() -> None:
    with pytest.raises(ExportError, match="fc has another shape"):
        load_pth(efficientnet_lite0(classes=7), imagenet_file())


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "read_pth", lambda path: {"features.0.weight": None})
    with pytest.raises(ExportError, match="it has no '_conv_stem\\.weight'"):
        load_pth(efficientnet_lite0(), Path("vgg.pth"))
