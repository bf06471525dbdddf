import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import deferred
from exporter.default import _ready, ensure_default
from exporter.errors import WeightsUnavailable
from exporter.job import Job
from inference.pbtxt import parameters
from inference.repository import versions_in
from tests.exporter.conftest import SMALL

LIGHT = """
import sys
from exporter.command import main
status = main(["--default", "--repository", sys.argv[1]])
sys.exit(status or "tensorflow" in sys.modules)
"""


def test_a_ready_model_is_left_alone_without_importing_tensorflow(exported: Path) -> None:
    command = [sys.executable, "-c", LIGHT, str(exported)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_any_model_of_the_users_counts_as_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine/3").mkdir(parents=True)
    ensure_default(tmp_path, "")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert capsys.readouterr().err == ""


def test_weights_that_are_asked_for_are_exported_beside_another_model(
    repository: Path,
    fine_tuned_vgg16: Callable[[int], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = fine_tuned_vgg16(1000)
    ensure_default(repository, str(path))
    shown = capsys.readouterr().err
    assert shown == f"edgelens: added vgg16 with the weights in {path}, beside {SMALL}\n"
    assert _ready(repository) == [SMALL, "vgg16"]
    found = parameters((repository / "vgg16/config.pbtxt").read_text())
    assert found["weights"] == "file:mine.keras"


def test_a_vgg16_that_is_there_is_kept_with_a_word_on_how_to_add_a_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vgg16/1").mkdir(parents=True)
    ensure_default(tmp_path, "mine.h5")
    shown = capsys.readouterr().err
    assert shown.startswith(f"edgelens: {tmp_path} already holds vgg16")
    assert "`python3 export_model.py vgg16 --weights mine.h5`" in shown
    assert shown.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["vgg16"]


def test_asking_for_imagenet_changes_nothing_where_a_model_is_ready(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_default(exported, "imagenet")
    assert _ready(exported) == [SMALL]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "lost",
    [[f"{SMALL}_image"], [f"{SMALL}_image/1"], [f"{SMALL}_decode", f"{SMALL}_image"]],
    ids=["ensemble", "half-an-ensemble", "all"],
)
def test_what_a_killed_export_did_not_come_to_is_written(repository: Path, lost: list[str]) -> None:
    before = contents(repository)
    for name in lost:
        shutil.rmtree(repository / name)
    ensure_default(repository, "")
    assert contents(repository) == before


@pytest.mark.parametrize(
    ("policy", "number"), [("specific { versions: [ 1 ] }", 1), ("latest { }", 2)]
)
def test_a_lost_ensemble_gets_the_number_of_the_version_that_serves(
    repository: Path, policy: str, number: int
) -> None:
    config, ensemble = repository / SMALL / "config.pbtxt", repository / f"{SMALL}_image"
    (repository / SMALL / "2").mkdir()
    config.write_text(config.read_text().replace("specific { versions: [ 1 ] }", policy))
    shutil.rmtree(ensemble)
    ensure_default(repository, "")
    assert f"versions: [ {number} ]" in (ensemble / "config.pbtxt").read_text()
    assert versions_in(ensemble) == [number]
    own, said = ensemble / "config.pbtxt", f"specific {{ versions: [ {number} ] }}"
    for kept, its_number in (("specific { versions: [ 7 ] }", 7), ("all { }", number)):
        own.write_text(own.read_text().replace(said, kept))
        said = kept
        for version in versions_in(ensemble):
            shutil.rmtree(ensemble / str(version))
        ensure_default(repository, "")
        assert versions_in(ensemble) == [its_number]


def test_a_model_of_the_users_gets_no_companions(repository: Path) -> None:
    for name in (f"{SMALL}_image", f"{SMALL}_decode"):
        shutil.rmtree(repository / name)
    config = repository / SMALL / "config.pbtxt"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if "golden_tensor_sha256" not in line))
    ensure_default(repository, "")
    assert [path.name for path in repository.iterdir()] == [SMALL]


def test_companions_that_cannot_be_written_hinder_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(repository / f"{SMALL}_image")
    (repository / f"{SMALL}_image").touch()
    ensure_default(repository, "")
    assert f"{SMALL}_image is missing and cannot be written" in capsys.readouterr().err


def contents(repository: Path) -> dict[str, bytes | None]:
    return {str(p): p.read_bytes() if p.is_file() else None for p in repository.rglob("*")}


@pytest.mark.parametrize("name", ["vgg16_decode", "vgg16_image", ".export-1-x"])
def test_what_classifies_nothing_is_not_ready(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "1").mkdir(parents=True)
    (tmp_path / "vgg16").mkdir()
    assert _ready(tmp_path) == []


def test_a_start_that_another_one_overtakes_serves_what_that_has_exported(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = deferred.export

    def be_overtaken(job: Job) -> str:
        if job.spec.name != SMALL:
            raise WeightsUnavailable("there is no network")
        (tmp_path / SMALL / "1").mkdir(parents=True)
        return export(job)

    monkeypatch.setattr(deferred, "export", be_overtaken)
    ensure_default(tmp_path, "")
    assert [path.name for path in (tmp_path / SMALL).iterdir()] == ["1"]
