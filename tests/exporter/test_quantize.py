import os
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest
import tensorflow as tf

from exporter.architectures import ARCHITECTURES
from exporter.command import main
from exporter.errors import ExportError
from exporter.int8_variant import Agreement, compare, quantize
from exporter.job import Job
from exporter.pictures import read_pictures
from exporter.quantization import quantize_version
from gateway.image import to_tensor
from tests.exporter.conftest import SMALL
from tests.photos import photos

SPEC = ARCHITECTURES[SMALL]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with each photo, its mirror image and a file that is no picture."""
    directory = tmp_path_factory.mktemp("pictures")
    for number, photo in enumerate(photos()):
        pixels = cv2.imread(str(photo.path))
        cv2.imwrite(str(directory / f"{number:02}a.png"), pixels)
        cv2.imwrite(str(directory / f"{number:02}b.png"), pixels[:, ::-1])
    (directory / "README.md").write_text("not a picture")
    return directory


@pytest.fixture(scope="module")
def quantized(
    exported: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """Return a version directory with its int8 variant, and the report about it."""
    repository = shutil.copytree(exported, tmp_path_factory.mktemp("int8") / "models")
    version = repository / SMALL / "1"
    return version, quantize(version, pictures, 0.95)


@pytest.fixture
def light_version(quick: None, tmp_path: Path) -> Path:
    """Return the directory of a version that is quantised at once."""
    repository = tmp_path / "models"
    assert main([SMALL, "--weights", "random", "--repository", str(repository)]) == 0
    return repository / SMALL / "1"


def classify(model: Path, tensors: np.ndarray) -> np.ndarray:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(tensors)[0]


def test_the_int8_model_knows_every_photo(quantized: tuple[Path, str]) -> None:
    tensors = np.stack([to_tensor(photo.data, SPEC.contract) for photo in photos()])
    best = classify(quantized[0] / "model.int8.xml", tensors).argmax(axis=1)
    assert best.tolist() == [photo.index for photo in photos()]


def test_the_int8_model_is_small_and_stands_beside_the_savedmodel(
    quantized: tuple[Path, str],
) -> None:
    version = quantized[0]
    assert sorted(path.name for path in version.iterdir()) == [
        "model.int8.bin",
        "model.int8.xml",
        "model.savedmodel",
    ]
    assert (version / "model.int8.bin").stat().st_size < 6e6
    assert sorted(path.name for path in version.parents[1].iterdir()) == [
        SMALL,
        f"{SMALL}_decode",
        f"{SMALL}_image",
    ]


def test_what_is_said_is_what_the_held_out_pictures_show(
    quantized: tuple[Path, str], pictures: Path
) -> None:
    version, said = quantized
    files = sorted(pictures.glob("*.png"))
    held_out = read_pictures(files, SPEC.contract)[1::2]
    expected = classify(version / "model.savedmodel", held_out)
    answered = classify(version / "model.int8.xml", held_out)
    same = (expected.argmax(axis=1) == answered.argmax(axis=1)).mean()
    assert f"agreement with f32 {same:.1%}" in said
    assert f"mean |dp| {np.abs(expected - answered).mean():.2e}" in said
    labels = len(np.unique(expected.argmax(axis=1)))
    assert f"on 12 held-out pictures with {labels} different labels; 1 of 25 files skipped" in said
    assert f"`make deploy MODEL={SMALL} VERSION=1` brings it into" in said


def test_no_deployment_is_promised_for_a_model_that_none_can_test(
    light_version: Path, pictures: Path
) -> None:
    config = light_version.parent / "config.pbtxt"
    config.write_text(config.read_text().replace("golden_label_v1", "golden_label_v9"))
    said = quantize(light_version, pictures, 0)
    assert said.endswith("\n  a server that is already running uses it after a restart")


def test_too_little_agreement_writes_nothing(light_version: Path, pictures: Path) -> None:
    with pytest.raises(ExportError, match=r"enough: top-1 agreement .* but 100\.5% is required"):
        quantize(light_version, pictures, 1.005)
    assert sorted(p.name for p in light_version.iterdir()) == ["model.savedmodel"]


def test_too_little_agreement_is_not_rounded_to_enough() -> None:
    assert "agreement with f32 94.9%" in str(Agreement(199, 9, 189 / 199, 0.0))
    assert "agreement with f32 95.0%" in str(Agreement(200, 9, 190 / 200, 0.0))


def test_the_int8_model_is_on_the_disk_before_it_has_its_place(
    light_version: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = {}

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        flushed[name] = os.fstat(descriptor).st_size

    monkeypatch.setattr(os, "fsync", fsync)
    quantize(light_version, pictures, 0)
    written = {path.name: path.stat().st_size for path in light_version.glob("model.int8.*")}
    assert flushed == written


def test_a_full_disk_is_one_sentence_and_writes_nothing(
    light_version: Path, pictures: Path
) -> None:
    """A limit of the files' size stands in for it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, limits[1]))
    try:
        with pytest.raises(ExportError, match=r"cannot write to .*: the disk is full, or fails$"):
            quantize(light_version, pictures, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in light_version.iterdir()] == ["model.savedmodel"]


@pytest.mark.parametrize("part", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_a_version_that_is_cut_short_is_one_sentence(
    exported: Path, pictures: Path, tmp_path: Path, part: str
) -> None:
    version = shutil.copytree(exported, tmp_path / "models") / SMALL / "1"
    os.truncate(version / "model.savedmodel" / part, 1000)
    with pytest.raises(ExportError, match=r"^OpenVINO cannot read .*model\.savedmodel: .+$"):
        quantize(version, pictures, 0.95)


def test_models_that_differ_are_seen_to_differ(exported: Path, pictures: Path) -> None:
    core = openvino.Core()
    model = core.read_model(exported / SMALL / "1/model.savedmodel")
    tensors = read_pictures(sorted(pictures.glob("*.png")), SPEC.contract)
    assert compare(core, model, model.clone(), tensors).top1 == 1
    constant = openvino.opset13.constant(np.full((1, 1000), 1e-3, np.float32))
    other = openvino.Model([constant.output(0)], model.get_parameters())
    other.output(0).set_names({"probabilities"})
    agreement = compare(core, model, other, tensors[:1])
    assert agreement.top1 == 0
    assert agreement.mean_difference > 1e-4


def test_the_probabilities_are_compared_whatever_else_the_model_returns(
    light_version: Path, pictures: Path
) -> None:
    path = light_version / "model.savedmodel"
    module = tf.saved_model.load(str(path))
    model = module.signatures["serving_default"]

    @tf.function(input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.uint8, "image")])
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        found = model(image=image)["probabilities"]
        return {"a_head": tf.zeros_like(found), "probabilities": found}

    tf.saved_model.save(module, str(path.with_name("two")), signatures=serve)
    shutil.rmtree(path)
    path.with_name("two").rename(path)
    assert "mean |dp| 0.00e+00" not in quantize(light_version, pictures, 0)


def test_too_few_pictures_are_refused(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(photos()[0].path, few)
    assert main([SMALL, "--repository", str(repository), "--quantize", str(few)]) == 1
    assert "in the directory itself; it has 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [("random", 'has weights "imagenet", not "random"'), ("a/b.h5", 'not "file:b.h5"')],
)
def test_a_version_with_other_weights_is_not_quantised(
    exported: Path, pictures: Path, weights: str, sentence: str
) -> None:
    with pytest.raises(ExportError, match=sentence):
        quantize_version(Job(SPEC, weights, exported), weights, pictures, 0.95)


@pytest.mark.parametrize(("named", "meant"), [(1, 1), (None, 2)])
def test_the_version_that_is_named_is_meant_and_else_the_newest(
    repository: Path, pictures: Path, named: int | None, meant: int
) -> None:
    (repository / SMALL / "2").mkdir()
    job = Job(SPEC, "random", repository, version=named)
    with pytest.raises(ExportError, match=f"^version {meant} in .* has weights"):
        quantize_version(job, "random", pictures, 0.95)


def test_a_version_with_other_labels_is_not_quantised(exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "labels.txt"
    other.write_text("cat\ndog\n")
    job = Job(SPEC, "imagenet", exported)
    with pytest.raises(ExportError, match="has other labels than"):
        quantize_version(replace(job, labels=other), None, tmp_path, 0.95)
    with pytest.raises(ExportError, match="it has 0"):  # pictures: the same labels are no mistake
        same = exported / SMALL / "labels.txt"
        quantize_version(replace(job, labels=same), None, tmp_path, 0.95)


def test_a_model_that_is_there_is_quantised_by_its_name_alone(
    light_version: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository, name = light_version.parents[1], light_version.parent.name
    command = ["--repository", str(repository), "--quantize", str(pictures), "--min-agreement", "0"]
    assert main([*command, "--name", name]) == 0
    assert f"{light_version}/model.int8.xml: top-1 agreement" in capsys.readouterr().out
    for arguments, sentence in (
        (["--name", name, "--version", "2"], f"no version 2 of {name} in {repository}; to export"),
        (["--name", "mine"], f"no version 1 of mine in {repository}; to export"),
        (["--name", name, "--weights", "random"], "name a model: vgg16"),
        ([], "name a model: vgg16"),
    ):
        assert main([*command, *arguments]) == 1
        assert sentence in capsys.readouterr().err


def test_quantising_replaces_no_version(exported: Path, pictures: Path) -> None:
    with pytest.raises(ExportError, match="replace it with --force first"):
        quantize_version(Job(SPEC, "imagenet", exported, force=True), None, pictures, 0.95)


def test_a_version_without_a_configuration_is_refused(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / SMALL / "1").mkdir(parents=True)
    with pytest.raises(ExportError, match=r"config.pbtxt cannot be read: No such file"):
        quantize_version(Job(SPEC, "imagenet", tmp_path), None, pictures, 0.95)


def test_a_missing_directory_is_refused_before_anything_is_exported(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="there is no directory"):
        quantize_version(Job(SPEC, "imagenet", tmp_path), None, tmp_path / "none", 0.95)
    assert list(tmp_path.iterdir()) == []


def test_too_few_pictures_are_refused_before_anything_is_exported(tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(photos()[0].path, few)
    for number in range(20):
        (few / f"{number}.txt").write_text("not a picture")
    with pytest.raises(ExportError, match="in the directory itself; it has 1"):
        quantize_version(Job(SPEC, "imagenet", tmp_path / "models"), None, few, 0.95)
    assert not (tmp_path / "models").exists()


def test_a_repository_that_cannot_be_written_is_told_before_the_pictures_are_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot write to"):
        quantize_version(Job(SPEC, "imagenet", tmp_path / "file"), None, tmp_path, 0.95)
