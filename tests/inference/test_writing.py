"""Files that others may read while they are written."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from inference.announcement import Announcement, write_private
from inference.errors import LaunchError
from inference.settings import Settings
from inference.tritonserver.ports import Ports
from inference.writing import write_text


def test_a_text_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "new/m/labels.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["labels.txt"]


def test_a_new_file_has_the_usual_mode_and_a_replaced_one_keeps_its_own(tmp_path: Path) -> None:
    path, usual = tmp_path / "config.pbtxt", tmp_path / "usual"
    usual.touch()
    write_text(path, "old")
    assert path.stat().st_mode == usual.stat().st_mode  # a container reads it as somebody else
    path.chmod(0o640)
    write_text(path, "new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_a_killed_writer_left_is_removed_but_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    left, others = f".config.pbtxt.{'0af' * 5}0", {".config.pbtxt.swp", f".config.pbtxt.{'1' * 16}"}
    for name in (left, *others):
        (tmp_path / name).touch()
    for name in (left, ".config.pbtxt.swp"):
        os.utime(tmp_path / name, (0, 0))
    write_text(path, "new")
    assert {entry.name for entry in tmp_path.iterdir()} == {"config.pbtxt", *others}


def test_a_disk_that_is_full_is_told_with_the_file_that_was_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "config.pbtxt"
    with pytest.raises(OSError, match=f"No space left on device: '{re.escape(str(path))}'"):
        write_text(path, "new")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_replaced_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=f"Is a directory: '{re.escape(str(tmp_path))}'$"):
        write_text(tmp_path, "new")


def test_a_text_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "config.pbtxt", []

    def fsync(descriptor: int) -> None:
        assert not path.exists()
        flushed.append(os.pread(descriptor, 100, 0))

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(path, "new")
    assert flushed == [b"new"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / "config.pbtxt", "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.pbtxt"]


def test_a_private_file_is_its_owners_alone_whatever_it_was(tmp_path: Path) -> None:
    path = tmp_path / "admin-key"
    path.write_text("old")
    path.chmod(0o644)
    write_text(path, "new", private=True)
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_writers_with_the_same_pid_do_not_share_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, others, write = tmp_path / "admin-key", ["other"], Path.write_text

    def write_after_another(place: Path, text: str, **options: Any) -> int:
        if others:  # as in another container, whose processes are numbered like ours
            write_text(path, others.pop(), private=True)
        return write(place, text, **options)

    monkeypatch.setattr(Path, "write_text", write_after_another)
    write_text(path, "mine", private=True)
    assert path.read_text() == "mine"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["admin-key"]


def test_a_key_that_cannot_be_published_is_left_nowhere(tmp_path: Path) -> None:
    (tmp_path / "admin-key").mkdir()
    with pytest.raises(LaunchError, match="EDGELENS_RUNTIME_DIR"):
        write_private(tmp_path / "admin-key", "secret")
    assert [entry.name for entry in tmp_path.iterdir()] == ["admin-key"]


def test_a_ready_file_that_is_a_directory_does_not_hide_the_reason(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {"TRITON_READY_FILE": str(tmp_path), "EDGELENS_RUNTIME_DIR": str(tmp_path)}
    )
    Announcement(settings, Ports(0, 0, 0, 0), tmp_path / "triton.log", print).withdraw()
    assert tmp_path.is_dir()
