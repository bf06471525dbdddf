"""The engine that runs everything, where it is installed."""

import sys

import pytest

from inference.backends.tensorflow.engines import load_engine
from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.parameters import Options
from inference.backends.tensorflow.signatures import read_signature
from inference.backends.tensorflow.task import Task
from tests.backend.lines import Lines


def load(foreign, tmp_path, part, **options):
    savedmodel = foreign / "parts" / part / "1" / "model.savedmodel"
    task = Task(savedmodel, read_signature(savedmodel), Options(**options), 1, tmp_path, 4)
    return load_engine(task, Log(Lines(), "model"))


@pytest.fixture
def without_tensorflow(monkeypatch):
    """Make `import tensorflow` fail as it does in the container image."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)


def test_without_tensorflow_the_remedy_is_named(foreign, tmp_path, without_tensorflow):
    with pytest.raises(LoadError, match='pip install "tensorflow-cpu"'):
        load(foreign, tmp_path, "signatures", engine="tensorflow")


def test_without_tensorflow_a_failed_fall_back_names_both_reasons(
    foreign, tmp_path, without_tensorflow
):
    with pytest.raises(LoadError, match=r"OpenVINO has no strings.*not installed"):
        load(foreign, tmp_path, "strings")


def test_without_tensorflow_other_models_load(foreign, tmp_path, without_tensorflow):
    assert load(foreign, tmp_path, "signatures").name == "openvino"
