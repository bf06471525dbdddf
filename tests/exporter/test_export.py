import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import openvino
import pytest
import tensorflow as tf

from exporter import savedmodel
from exporter.architectures import ARCHITECTURES, ModelSpec, Normalisation
from exporter.command import main
from exporter.errors import ExportError
from exporter.export import export
from exporter.golden import golden_tensor
from exporter.job import Job
from exporter.normalisation import normalise
from gateway.image import to_tensor
from inference.contracts.expectation import sha256
from inference.pbtxt import parameters
from inference.repository import versions_in
from tests.exporter.conftest import SIDE, SMALL
from tests.photos import photos
from tests.places import HOME
from tests.waiting import wait_until

SPEC = ARCHITECTURES[SMALL]


class Fickle(keras.layers.Layer):
    """Answers differently in the written graph than when it is called eagerly."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x if tf.executing_eagerly() else tf.roll(x, 1, axis=-1)


def fickle(input_shape: tuple[int, int, int], classes: int, **_: object) -> keras.Model:
    """Stand in for a builder of a network; the model differs from its own SavedModel."""
    head = (keras.layers.Flatten(), keras.layers.Dense(classes, "softmax"), Fickle())
    return keras.Sequential([keras.Input(input_shape), *head])


def diverged(input_shape: tuple[int, int, int], classes: int, **_: object) -> keras.Model:
    """Stand in for a builder of a network; training has ended in NaN."""
    bias = keras.initializers.Constant(float("nan"))
    head = (keras.layers.Flatten(), keras.layers.Dense(classes, "softmax", bias_initializer=bias))
    return keras.Sequential([keras.Input(input_shape), *head])


def run(*arguments: str, repository: Path) -> int:
    return main([*arguments, "--repository", str(repository)])


def config(repository: Path) -> str:
    return (repository / SMALL / "config.pbtxt").read_text()


def files(directory: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def test_another_engine_reads_it_and_knows_every_photo(exported: Path) -> None:
    path = exported / SMALL / "1/model.savedmodel"
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    tensors = np.stack([to_tensor(photo.data, SPEC.contract) for photo in photos()])
    assert (model.input().any_name, model.output().any_name) == ("image", "probabilities")
    assert model(tensors)[0].argmax(axis=1).tolist() == [photo.index for photo in photos()]


@pytest.mark.parametrize("name", ["für mich [alt] *?", "f\udcfcr"], ids=["a pattern", "no text"])
def test_a_path_may_look_like_a_pattern_or_be_no_text(
    name: str, quick: None, tmp_path: Path
) -> None:
    repository = tmp_path / name
    assert run(SMALL, "--weights", "random", repository=repository) == 0
    assert versions_in(repository / SMALL) == [1]


def test_the_working_directory_may_be_gone(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(SMALL, "--weights", "random", repository=tmp_path / "models") == 0


def test_each_weight_stands_in_the_savedmodel_once(exported: Path) -> None:
    variables = exported / SMALL / "1/model.savedmodel/variables/variables.data-00000-of-00001"
    weights = sum(4 * weight.size for weight in SPEC.build(None).get_weights())
    assert weights <= variables.stat().st_size < weights * 1.02


def test_it_writes_the_model_its_decoder_and_its_ensemble(exported: Path) -> None:
    names = sorted(path.name for path in exported.iterdir())
    assert names == [SMALL, f"{SMALL}_decode", f"{SMALL}_image"]
    for name in (f"{SMALL}_decode", f"{SMALL}_image"):
        assert (exported / name / "config.pbtxt").is_file()
        assert (exported / name / "1").is_dir()
    labels = (exported / SMALL / "labels.txt").read_text()
    assert labels.splitlines()[587] == "n03481172 hammer"
    assert (exported / f"{SMALL}_image/labels.txt").read_text() == labels


def test_everyone_may_read_what_it_writes(exported: Path) -> None:
    assert (exported / SMALL / "1").stat().st_mode & 0o077 == 0o755 & ~_umask() & 0o077


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_the_golden_answer_is_kept(exported: Path) -> None:
    found = parameters(config(exported))
    assert found["golden_label_v1"] == "n03481172 hammer"
    assert float(found["golden_probability_v1"]) > 0.8
    assert found["golden_tensor_sha256"] == sha256(golden_tensor(SPEC.contract))


def test_a_second_version_keeps_the_users_config(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / SMALL / "config.pbtxt"
    path.write_text("# mine\n" + path.read_text().replace('"cubic"', '"area"'))
    decode = repository / f"{SMALL}_decode/config.pbtxt"
    decode.write_text("# mine\n" + decode.read_text().replace("count: 2", "count: 3"))
    ensemble = repository / f"{SMALL}_image/config.pbtxt"
    ensemble.write_text("# mine\n" + ensemble.read_text())
    assert run(SMALL, "--weights", "random", repository=repository) == 0
    text = path.read_text()
    found = parameters(text)
    assert text.startswith("# mine\n")
    assert found["golden_label_v1"] == "n03481172 hammer"
    assert (found["weights_v1"], found["weights_v2"]) == ("imagenet", "random")
    assert found["interpolation"] == "area"
    assert "version_policy { specific { versions: [ 1 ] } }\n" in text  # it waits for a deployment
    assert ensemble_versions(repository) == ("[ 1 ]", ["1"])
    assert '"area"' in decode.read_text()
    assert "count: 3" in decode.read_text()
    assert all(file.read_text().startswith("# mine\n") for file in (decode, ensemble))
    label, probability = found["golden_label_v2"], float(found["golden_probability_v2"])
    assert capsys.readouterr().out.splitlines() == [
        f"{repository / SMALL}/2/model.savedmodel (20 MB)",
        "  input   image: UINT8 [N,224,224,3], RGB",
        "  the first layer gets (x - 127) / 128",
        "  output  probabilities: FP32 [N,1000]",
        f"  golden picture: {label} ({probability:.2%})",
        f"  not in service yet: `make deploy MODEL={SMALL} VERSION=2` tests it beside the current"
        " version, then switches to it (in containers: deploy/README.md)",
    ]


def test_it_says_if_a_start_may_serve_the_version_untested(
    quick: None, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / SMALL / "config.pbtxt"
    path.write_text(path.read_text().replace("specific { versions: [ 1 ] }", "latest { }"))
    assert run(SMALL, "--weights", "random", repository=repository) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "  any start may serve it untested, because version_policy in config.pbtxt lists no"
        f" versions: `make deploy MODEL={SMALL} VERSION=2` tests it first, and lists it"
    )


def test_the_only_version_is_served_whatever_its_number(quick: None, repository: Path) -> None:
    shutil.rmtree(repository / SMALL / "1")
    assert run(SMALL, "--weights", "random", "--version", "4", repository=repository) == 0
    assert "version_policy { specific { versions: [ 4 ] } }\n" in config(repository)
    assert ensemble_versions(repository) == ("[ 4 ]", ["1", "4"])


def ensemble_versions(repository: Path) -> tuple[str, list[str]]:
    """Return which version of the ensemble is served, and which there are."""
    directory = repository / f"{SMALL}_image"
    served = (directory / "config.pbtxt").read_text().partition("specific { versions: ")[2]
    return served.partition(" }")[0], sorted(path.name for path in directory.glob("[0-9]*"))


def test_a_taken_version_is_refused_at_once(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(repository)
    assert run(SMALL, "--version", "1", repository=repository) == 1
    assert "--force to replace it" in capsys.readouterr().err
    assert files(repository) == before


def test_an_export_replaces_no_version_that_another_one_adds_meanwhile(
    quick: None,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write, others = savedmodel.write, repository / SMALL / "2/of another export"

    def be_overtaken(*arguments: Any) -> None:
        write(*arguments)
        others.mkdir(parents=True)

    monkeypatch.setattr(savedmodel, "write", be_overtaken)
    before = files(repository)
    assert run(SMALL, "--weights", "random", repository=repository) == 1
    assert "have changed during this export" in capsys.readouterr().err
    assert others.is_dir()
    assert files(repository) == before


def test_own_classes_replace_the_only_version_if_forced(
    quick: None, repository: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    decode = repository / f"{SMALL}_decode/config.pbtxt"
    decode.write_text(decode.read_text().replace("dims: [ 224, 224, 3 ]", "dims: [ 64, 64, 3 ]"))
    arguments = (SMALL, "--weights", "random", "--labels", str(labels))
    assert run(*arguments, "--version", "1", "--force", repository=repository) == 0
    assert "dims: [ 224, 224, 3 ]" in decode.read_text()
    assert (repository / SMALL / "labels.txt").read_text() == "cat\ndog\n"
    assert "dims: [ 2 ]" in config(repository)
    assert "dims: [ 2 ]" in (repository / f"{SMALL}_image/config.pbtxt").read_text()
    assert "golden_label_v2" not in config(repository)


def test_a_model_of_ones_own_stands_beside_another_of_its_architecture(
    quick: None, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    before = files(repository)
    arguments = (SMALL, "--name", "pets", "--weights", "random", "--labels", str(labels))
    assert run(*arguments, repository=repository) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "  the next start serves it; `make deploy MODEL=pets VERSION=1` brings it into a server"
        " that is already running (in containers: deploy/README.md)"
    )
    assert 'name: "pets"' in (repository / "pets/config.pbtxt").read_text()
    assert (repository / "pets/labels.txt").read_text() == "cat\ndog\n"
    assert (repository / "pets_decode/config.pbtxt").is_file()
    ensemble = (repository / "pets_image/config.pbtxt").read_text()
    assert ensemble.count('model_name: "pets') == 2
    assert before.items() <= files(repository).items()
    assert run(*arguments, repository=repository) == 0
    assert versions_in(repository / "pets") == [1, 2]


def test_a_replaced_version_is_served_after_a_restart(
    quick: None, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--weights", "random", "--version", "1", "--force")
    assert run(SMALL, *arguments, repository=repository) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "  a server that is already running serves it after a restart"
    )


def test_replacing_the_only_version_keeps_an_edited_config(quick: None, repository: Path) -> None:
    path = repository / SMALL / "config.pbtxt"
    path.write_text(
        "# mine\n" + path.read_text().replace("max_batch_size: 16", "max_batch_size: 4")
    )
    arguments = (SMALL, "--weights", "random", "--version", "1", "--force")
    assert run(*arguments, repository=repository) == 0
    text = path.read_text()
    assert text.startswith("# mine\n")
    assert "max_batch_size: 4\n" in text
    assert parameters(text)["weights_v1"] == "random"


def test_a_config_with_umlauts_is_kept_in_a_locale_without_them(repository: Path) -> None:
    decode, ensemble = repository / f"{SMALL}_decode/config.pbtxt", repository / f"{SMALL}_image"
    text = f"# für uns\n{decode.read_text(encoding='utf-8')}"
    decode.write_text(text.replace('"center"', '"squeeze"'), encoding="utf-8")
    shutil.rmtree(ensemble)  # so that it is made again, and the decoder is written anew
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run(
        [sys.executable, "export_model.py", "--default", "--repository", repository],
        cwd=HOME,
        env=os.environ | ascii_only,
        check=True,
    )
    assert (ensemble / "config.pbtxt").exists()
    assert sorted(decode.read_text(encoding="utf-8").splitlines()) == sorted(text.splitlines())


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("fickle", r"differs from Keras by .*nothing was written"),
        ("diverged", r"answers nan to nan, .* not probabilities"),
    ],
)
def test_a_model_that_fails_its_check_is_refused_and_nothing_is_written(
    tmp_path: Path, model: str, reason: str
) -> None:
    spec = ModelSpec(model, f"{__name__}:{model}", Normalisation.SYMMETRIC, "", size=8)
    with pytest.raises(ExportError, match=reason):
        export(Job(spec, "imagenet", tmp_path / "models"))
    assert list(tmp_path.rglob("*")) == [tmp_path / "models"]


def test_labels_that_differ_from_the_models_are_refused_before_weights_are_loaded(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    before = files(repository)
    arguments = (SMALL, "--weights", str(labels), "--labels", str(labels))
    assert run(*arguments, repository=repository) == 1
    assert "share them; give these a --name of their own" in capsys.readouterr().err
    assert files(repository) == before


def test_a_file_whose_classes_have_no_labels_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "five.weights.h5"
    SPEC.build(None, 5).save_weights(path)
    assert run(SMALL, "--weights", str(path), repository=tmp_path / "models") == 1
    assert "name them with --labels FILE" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_users_fine_tuned_vgg16_is_served_as_it_was_trained(
    tmp_path: Path, fine_tuned_vgg16: Callable[[int], Path]
) -> None:
    path = fine_tuned_vgg16(2)
    labels = tmp_path / "pets.txt"
    labels.write_text("cat\ndog\n")
    repository = tmp_path / "models"
    arguments = ("vgg16", "--weights", str(path), "--labels", str(labels))
    assert run(*arguments, repository=repository) == 0
    model = repository / "vgg16"
    found = parameters((model / "config.pbtxt").read_text())
    assert (found["weights"], found["width"]) == ("file:mine.keras", str(SIDE))
    assert (model / "labels.txt").read_text() == "cat\ndog\n"
    assert found["golden_label_v1"] in ("cat", "dog")
    pictures = np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    fed = keras.applications.vgg16.preprocess_input(pictures.astype(np.float32))
    expected = keras.saving.load_model(path).predict(fed, verbose=0)
    answered = savedmodel.classify(model / "1/model.savedmodel", pictures)
    np.testing.assert_allclose(answered, expected, atol=1e-4)


def test_a_softmax_that_the_export_adds_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    head = (keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2))
    keras.Sequential([base, *head]).save(path := tmp_path / "logits.keras")
    (labels := tmp_path / "pets.txt").write_text("cat\ndog\n")
    arguments = ("vgg16", "--weights", str(path), "--labels", str(labels))
    assert run(*arguments, repository=tmp_path / "models") == 0
    assert capsys.readouterr().out.splitlines()[2:4] == [
        "  the first layer gets x in BGR - ImageNet's mean",
        "  output  probabilities: FP32 [N,2], by a softmax that was added to the model's own"
        " output; if several labels may be right at once, end it in a sigmoid",
    ]


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_the_answer_has_32_bits_whatever_a_model_computes_with(
    tmp_path: Path, precision: str
) -> None:
    head = keras.layers.Dense(3, "softmax", dtype=precision)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), head])
    spec = ModelSpec("mine", "", Normalisation.SYMMETRIC, "", size=8)
    savedmodel.write(model, spec, tmp_path / "model.savedmodel")
    pictures = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    answered = savedmodel.classify(tmp_path / "model.savedmodel", pictures)
    assert answered.dtype == np.float32
    expected = np.asarray(model(normalise(pictures, spec)), np.float32)
    np.testing.assert_allclose(answered, expected, atol=1e-4)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_export_leaves_nothing_to_load(
    tmp_path: Path, number: signal.Signals
) -> None:
    repository = tmp_path / "models"
    errors = interrupted_export(repository, number)
    assert list(repository.iterdir()) == []
    left = [path for path in tmp_path.iterdir() if path != repository]
    if number == signal.SIGKILL:
        assert [versions_in(path) for path in left] == [[]]
        assert list(left[0].rglob("saved_model.pb"))
    else:
        assert left == []
        assert errors == "export_model: interrupted; nothing was left half-written\n"


def interrupted_export(repository: Path, number: signal.Signals) -> str:
    """Send a signal to an export once its SavedModel is staged; return what it said."""
    command = [sys.executable, "export_model.py", SMALL, "--repository", str(repository)]
    process = subprocess.Popen(command, cwd=HOME, stderr=subprocess.PIPE, text=True)
    try:
        staged = ".models-export-*/*/model.savedmodel/saved_model.pb"
        wait_until(lambda: list(repository.parent.glob(staged)), "the export writes", 60)
        process.send_signal(number)
        return process.communicate(timeout=60)[1]
    finally:
        process.kill()
