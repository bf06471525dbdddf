import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import ExportError
from exporter.target import STAGED, Target, plan, publish, reserved, staging
from inference.deployment.model_files import ModelFiles
from inference.repository import versions_in


def test_the_next_free_version_comes_after_the_greatest(tmp_path: Path) -> None:
    assert plan(tmp_path, "m", None, False).version == 1
    for name in ("2", "10", "notes"):
        (tmp_path / "m" / name).mkdir(parents=True)
    assert versions_in(tmp_path / "m") == [2, 10]
    assert plan(tmp_path, "m", None, False).version == 11


def test_a_version_is_replaced_only_if_forced(tmp_path: Path) -> None:
    (tmp_path / "m/2").mkdir(parents=True)
    with pytest.raises(ExportError, match=r"version 2 of m is already in .*--force"):
        plan(tmp_path, "m", 2, False)
    assert plan(tmp_path, "m", 2, True).version == 2
    assert plan(tmp_path, "m", 3, False) == Target(tmp_path, "m", 3)


def test_a_replaced_version_is_gone_as_a_whole(tmp_path: Path) -> None:
    target = Target(tmp_path, "m", 1)
    for content in ("old", "new"):
        with staging(tmp_path) as stage:
            (stage / STAGED).mkdir()
            (stage / STAGED / content).touch()
            publish(stage / STAGED, target)
    assert [path.name for path in target.version_dir.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


KILLED_BEFORE_A_RENAME = """
import os, sys
from pathlib import Path
from exporter.target import Target, publish

def watch(event, arguments):
    if event == "os.rename" and left_over.pop() == 0:
        os.kill(os.getpid(), 9)

left_over = list(range(int(sys.argv[2]) + 1))  # renames, counted down
sys.addaudithook(watch)
publish(Path(sys.argv[1], "staged"), Target(Path(sys.argv[1]), "m", 1))
"""


@pytest.mark.parametrize("renames", [0, 1])
def test_an_export_that_is_killed_leaves_the_old_version_or_the_new(
    tmp_path: Path, renames: int
) -> None:
    for directory, content in (("m/1", "old"), ("staged", "new")):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / content).touch()
    command = [sys.executable, "-c", KILLED_BEFORE_A_RENAME, str(tmp_path), str(renames)]
    subprocess.run(command, check=False)
    assert [path.name for path in (tmp_path / "m/1").iterdir()] in (["old"], ["new"])


def test_a_version_is_replaced_where_the_file_system_cannot_exchange_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.target._exchange", lambda one, other: False)
    test_a_replaced_version_is_gone_as_a_whole(tmp_path)


def test_a_version_is_on_the_disk_before_it_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, flushed = Target(tmp_path, "m", 1), []

    def fsync(descriptor: int) -> None:
        assert not target.version_dir.exists()
        flushed.append(os.pread(descriptor, 100, 0))

    monkeypatch.setattr(os, "fsync", fsync)
    with staging(tmp_path) as stage:
        (stage / STAGED / "model.savedmodel").mkdir(parents=True)
        (stage / STAGED / "model.savedmodel/weights").write_text("weights")
        publish(stage / STAGED, target)
    assert flushed == [b"weights"]


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staging(tmp_path) as stage:
        (stage / STAGED).mkdir()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_swept_but_not_a_running_ones(tmp_path: Path) -> None:
    with staging(tmp_path / "models") as killed:
        pass
    killed.mkdir()
    for name in ("models/.export-1-x", ".models-export-1-x"):  # in containers, all are process 1
        (tmp_path / name).mkdir(parents=True)
    with staging(tmp_path / "models") as running:
        with staging(tmp_path / "models"):
            pass
        assert list(tmp_path.rglob("*export*")) == [running]


def test_what_an_export_has_just_made_is_not_swept_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, others = tempfile.mkdtemp, []

    def stage() -> None:
        with staging(tmp_path / "models"):
            pass

    def make_while_another_begins(**options: Any) -> str:
        made = make(**options)
        if not others:
            others.append(threading.Thread(target=stage))
            others[0].start()
            others[0].join(0.3)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", make_while_another_begins)
    with staging(tmp_path / "models") as running:
        others[0].join(10)
        assert list(tmp_path.rglob("*export*")) == [running]


def test_nothing_is_staged_where_a_stock_triton_looks(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "disk/models")
    (tmp_path / "disk/models").mkdir(parents=True)
    for repository in (tmp_path / "models", tmp_path / "link"):
        with staging(repository) as stage:
            assert list(repository.iterdir()) == []
            assert stage.parent == repository.resolve().parent


def test_a_volume_is_staged_in_without_a_version_to_load() -> None:
    volume = Path("/dev/shm")  # as with a container's /models, files cannot be moved out of it
    with staging(volume) as stage:
        assert stage.parent == volume
        (stage / STAGED).mkdir()
        assert versions_in(stage) == []
    assert not stage.exists()


def test_a_model_on_another_file_system_is_refused_before_any_work(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        (tmp_path / "m").symlink_to(elsewhere)
        with pytest.raises(ExportError, match=f"cannot write to {tmp_path}/m: it is on another"):
            plan(tmp_path, "m", None, False)
    assert plan(Path("/dev/shm"), "no such model", None, False).version == 1
    (tmp_path / "here/1").mkdir(parents=True)
    (tmp_path / "n").symlink_to(tmp_path / "here")
    assert plan(tmp_path, "n", None, False).version == 2


def test_a_repository_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot write to"), staging(tmp_path / "file/models"):
        pass
    with pytest.raises(ExportError, match=r"cannot write to .*/file is not a directory$"):
        plan(tmp_path / "file/models", "m", None, force=False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("unable to write the file"), "unable to write the file"),  # as h5py does
    ],
)
def test_a_disk_that_fills_up_is_one_sentence(tmp_path: Path, error: OSError, reason: str) -> None:
    with pytest.raises(ExportError, match=f"cannot write to .*: {reason}$"), staging(tmp_path):
        raise error


def test_an_export_waits_for_a_deployment_that_is_at_work_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, entered = Target(tmp_path, "m", 1), threading.Event()
    target.model_dir.mkdir()

    def write() -> None:
        with reserved(target, []):
            entered.set()

    with ModelFiles(tmp_path, "m").locked():
        export = threading.Thread(target=write)
        export.start()
        assert not entered.wait(0.3)
    export.join(10)
    assert entered.is_set()
    assert capsys.readouterr().err == "Waiting for a deployment or another export of m.\n"
