"""A repository with an exported EfficientNet-Lite0, once a session; tests must not change it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from exporter.architectures import ARCHITECTURES
from exporter.command import main

SMALL = "efficientnet_lite0"
SIDE = 64  # pixels


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with version 1 of EfficientNet-Lite0 and its real weights."""
    repository = tmp_path_factory.mktemp("models")
    assert main([SMALL, "--repository", str(repository)]) == 0
    return repository


@pytest.fixture
def repository(exported: Path, tmp_path: Path) -> Path:
    """Return a copy of that repository, for a test that changes it."""
    return Path(shutil.copytree(exported, tmp_path / "models"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a light network exported under the name of EfficientNet-Lite0."""
    builder = "tests.exporter.light_network:light_network"
    monkeypatch.setitem(ARCHITECTURES, SMALL, replace(ARCHITECTURES[SMALL], builder=builder))


@pytest.fixture(scope="session")
def fine_tuned_vgg16(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Return a function that saves a small VGG16 fine-tuned to a number of classes."""
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))

    def save(classes: int) -> Path:
        head = (keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(classes, "softmax"))
        path = tmp_path_factory.mktemp("vgg16") / "mine.keras"
        keras.Sequential([base, *head]).save(path)
        return path

    return save
