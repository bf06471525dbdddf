"""Where a model's files are."""

from pathlib import Path

import pytest

from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.location import version_directory


def test_a_version_that_is_removed_while_it_is_loaded_is_named(tmp_path: Path) -> None:
    version = tmp_path / "cat/1"
    version.mkdir(parents=True)
    arguments = ["stub", str(version / "model.savedmodel")]
    assert version_directory(arguments) == version
    version.rmdir()
    with pytest.raises(LoadError, match="cat/1 is gone: it was removed"):
        version_directory(arguments)
