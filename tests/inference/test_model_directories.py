"""Which models of a repository are ready to load."""

import os
import tempfile
from pathlib import Path

import pytest

from gateway.setting import SettingError
from inference.errors import LaunchError
from inference.repository import ready_models, require_models, unserved
from tests.inference.contracted import add_classifier, add_ensemble


def test_models_with_a_version_are_ready(tmp_path: Path) -> None:
    for path in ("vgg16/1", "vgg16/2", "vgg16_image/10", "resnet50/1"):
        (tmp_path / path).mkdir(parents=True)
    assert ready_models(tmp_path) == ["resnet50", "vgg16", "vgg16_image"]
    assert require_models(tmp_path) == ready_models(tmp_path)


@pytest.mark.parametrize(
    "path",
    ["new/.tmp-1", "draft/next", "zero/0", ".hidden/1", "padded/01", "odd/²"],
)
def test_unfinished_directories_are_not_ready(tmp_path: Path, path: str) -> None:
    (tmp_path / path).mkdir(parents=True)
    assert ready_models(tmp_path) == []


def test_version_must_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "vgg16").mkdir()
    (tmp_path / "vgg16" / "1").write_text("")
    (tmp_path / "README.md").write_text("")
    assert ready_models(tmp_path) == []


def test_repository_without_models_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="No model is ready"):
        require_models(tmp_path / "absent")


def test_a_repository_that_cannot_be_read_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="set MODEL_REPOSITORY"):
        require_models(tmp_path / ("long" * 100))


def test_a_model_without_a_version_is_told(tmp_path: Path) -> None:
    for path in ("vgg16/1/model.savedmodel", "flat/model.savedmodel", "notes"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "vgg16/config.pbtxt").touch()
    assert [reason.split()[0] for reason in unserved(tmp_path)] == ["flat"]
    (tmp_path / "vgg16").rename(tmp_path / ".vgg16")
    with pytest.raises(LaunchError, match=r"flat has no version.*flat/1/model.savedmodel"):
        require_models(tmp_path)


def test_a_version_that_triton_cannot_count_to_is_told(tmp_path: Path) -> None:
    for path in ("nanoseconds/9223372036854775807", "date/1", "date/9223372036854775808"):
        (tmp_path / path).mkdir(parents=True)
    assert ready_models(tmp_path) == ["nanoseconds"]
    assert unserved(tmp_path) == [
        "date/9223372036854775808 is no version: use numbers up to 9223372036854775807."
    ]


@pytest.mark.parametrize("name", ["vgg16 (copy)", "Äpfel", "x" * 129])
def test_a_model_whose_name_nobody_could_ask_for_is_told(tmp_path: Path, name: str) -> None:
    longest = "A.b-c_9" + "x" * 121
    for model in (name, longest):
        (tmp_path / model / "1").mkdir(parents=True)
    assert ready_models(tmp_path) == [longest]
    assert unserved(tmp_path) == [
        f"'{name}' is no name for a model: use at most 128 letters, digits, _, . and -."
    ]
    (tmp_path / longest).rename(tmp_path / ".vgg16")
    with pytest.raises(LaunchError, match=r"No model is ready in .*: '.*' is no name"):
        require_models(tmp_path)


def test_an_ensemble_whose_classifier_was_removed_is_told(tmp_path: Path) -> None:
    """Triton does not start with it; the decoder and the ensembles of other models still serve."""
    for model in ("cat", "dog"):
        add_classifier(tmp_path, model)
        add_ensemble(tmp_path, model)
    (tmp_path / "dog").rename(tmp_path / "hound")
    assert ready_models(tmp_path) == ["cat", "cat_decode", "cat_image", "dog_decode", "hound"]
    assert unserved(tmp_path) == [
        "dog_image leads to dog, which is not here; remove dog_decode and dog_image, too."
    ]


def test_a_model_may_be_named_like_an_ensemble_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "_image/1").mkdir(parents=True)
    assert ready_models(tmp_path) == ["_image"]


@pytest.mark.parametrize("text", ['platform: "tensorflow_savedmodel"', "broken {", None])
def test_a_model_that_is_only_named_like_an_ensemble_is_ready(
    tmp_path: Path, text: str | None
) -> None:
    (tmp_path / "x_image/1").mkdir(parents=True)
    if text:
        (tmp_path / "x_image/config.pbtxt").write_text(text)
    assert ready_models(tmp_path) == ["x_image"]


def test_a_directory_that_may_not_be_read_is_no_model() -> None:
    """The root of a volume has a `lost+found`."""
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name)
        repository.chmod(0o755)
        (repository / "vgg16/1").mkdir(parents=True)
        (repository / "lost+found").mkdir(mode=0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(10001)  # root may look everywhere
        try:
            assert ready_models(repository) == ["vgg16"]
            assert unserved(repository) == []
        finally:
            os.seteuid(user)
