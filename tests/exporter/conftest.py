"""A repository with an exported EfficientNet-Lite0, once a session; tests must not change it."""

import shutil
from pathlib import Path

import pytest

from exporter.command import main

SMALL = "efficientnet_lite0"


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
