"""One real inference server with stand-in models for this directory's tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.deployment.model_files import ModelFiles
from tests.inference import standins
from tests.inference.deployed import CONFIG
from tests.servers import Running, start_inference

QUICK = {"TRITON_PROBE_PERIOD": "0.5", "TRITON_PROBE_TIMEOUT": "2"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the echo model alone."""
    standins.add_model(tmp_path / "models", "echo")
    return tmp_path / "models"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A launcher that looks often; its models must infer again when a test ends."""
    directory = tmp_path_factory.mktemp("models")
    standins.add_model(directory, "echo")
    standins.add_model(directory, "echo_image", standins.ENSEMBLE, code="")
    standins.add_model(directory, "spare")
    standins.add_model(directory, "cached", standins.CACHED)
    standins.add_model(directory, "twice", standins.CONFIG.replace("count: 1", "count: 2"))
    standins.add_model(directory, "picky", code=standins.PICKY)
    with start_inference(directory, **QUICK) as running:
        yield running
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """A model with three versions of a kilobyte."""
    for version in (1, 2, 3):
        (tmp_path / f"cat/{version}").mkdir(parents=True)
        (tmp_path / f"cat/{version}/weights").write_bytes(bytes(1000))
    (tmp_path / "cat/labels.txt").write_text("cat\n")
    (tmp_path / "cat/config.pbtxt").write_text(CONFIG)
    return ModelFiles(tmp_path, "cat")
