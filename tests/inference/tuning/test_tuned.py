"""The file with the tuned configuration of a model on one host."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.setting import SettingError
from inference.errors import LaunchError
from inference.settings import Settings
from inference.tuning import MARK
from inference.tuning.candidate import Candidate
from inference.tuning.tuned import Tuned
from tests.inference import standins


@pytest.fixture
def tuned(tmp_path: Path) -> Tuned:
    """A model with a queue policy that must survive."""
    config = standins.CONFIG.replace(
        "dynamic_batching {}", "dynamic_batching { default_queue_policy { max_queue_size: 3 } }"
    )
    model = standins.add_model(tmp_path, "cat", config)
    (model / "configs").mkdir()
    return Tuned(model, "edge")


def test_tuned_file_differs_only_in_what_was_tuned(tuned: Tuned) -> None:
    default = Candidate("auto", 1, 0, 8, 0)
    assert tuned.save(Candidate("f32", 2, 3, 4, 200), default, "<svg/>")
    text = tuned.path.read_text()
    assert text.startswith(f"{MARK}: f32, 2 x 3 threads, batch 4, delay 200 us.\n")
    for part in ("count: 2", "max_queue_size: 3", 'string_value: "f32"', 'string_value: "3"'):
        assert part in text
    assert "preferred_batch_size: 4" in text
    assert "max_batch_size: 8" in text  # clients may keep sending that many
    assert "max_queue_delay_microseconds: 200" in text
    assert sorted(path.name for path in tuned.path.parent.iterdir()) == ["edge.pbtxt", "edge.svg"]


def test_larger_batches_raise_the_limit(tuned: Tuned) -> None:
    default = Candidate("auto", 1, 0, 8, 0)
    tuned.save(replace(default, batch=32), default, "")
    assert "max_batch_size: 32" in tuned.path.read_text()


def test_default_that_stays_removes_an_older_file(tuned: Tuned) -> None:
    default = Candidate("auto", 1, 0, 8, 0)
    tuned.save(replace(default, instances=2), default, "")
    assert not tuned.save(default, default, "<svg/>")
    assert [path.name for path in tuned.path.parent.iterdir()] == ["edge.svg"]


def test_versions_that_a_deployment_chose_stay_chosen(tuned: Tuned) -> None:
    default = Candidate("auto", 1, 0, 8, 0)
    tuned.save(replace(default, instances=2), default, "")
    with tuned.path.open("a") as file:
        file.write("version_policy { specific { versions: [ 1 ] } }\n")
    assert tuned.save(default, default, "")
    text = tuned.path.read_text()
    assert "versions: 1" in text
    assert "count: 1" in text


@pytest.mark.parametrize("content", [b"max_batch_size: 4\n", b"# f\xfcr\n"], ids=["UTF-8", "not"])
def test_file_of_somebody_elses_is_not_replaced(tuned: Tuned, content: bytes) -> None:
    tuned.path.write_bytes(content)
    wrong = r"edge\.pbtxt was not written by `make tune`"
    with pytest.raises(LaunchError, match=wrong), tuned.reserved():
        pass


def test_a_configuration_that_is_not_utf_8_is_named(tuned: Tuned) -> None:
    (tuned.model / "config.pbtxt").write_bytes(b"# f\xfcr\n")
    with pytest.raises(LaunchError, match=r"/config\.pbtxt is not UTF-8: fix it first"):
        tuned.computes()


def test_a_model_is_tuned_by_one_process_at_a_time(tuned: Tuned) -> None:
    other = replace(tuned)
    with (
        tuned.reserved(),
        pytest.raises(LaunchError, match="cat is being tuned by another process"),
        other.reserved(),
    ):
        pass
    with other.reserved():
        pass


def test_only_models_that_compute_are_tuned(tmp_path: Path) -> None:
    standins.add_model(tmp_path, "cat")
    standins.add_model(tmp_path, "cat_image", standins.ENSEMBLE, code="")
    standins.add_model(tmp_path, "cat_decode", 'backend: "opencv"', code="")
    settings = Settings.from_env({"TRITON_MODEL_CONFIG_NAME": "edge"}, tmp_path)
    assert Tuned.find(settings, None).model == tmp_path / "cat"
    for model in ("dog", "cat_image"):
        with pytest.raises(LaunchError, match=f"no model {model} to tune in .*: cat"):
            Tuned.find(settings, model)
    standins.add_model(tmp_path, "lynx")
    with pytest.raises(LaunchError, match=r"Name a model; .*: cat, lynx"):
        Tuned.find(settings, None)


def test_a_host_without_tuned_configurations_is_not_tuned(tmp_path: Path) -> None:
    settings = Settings.from_env({"TRITON_MODEL_CONFIG_NAME": "none"}, tmp_path)
    with pytest.raises(SettingError, match="TRITON_MODEL_CONFIG_NAME is none"):
        Tuned.find(settings, None)
