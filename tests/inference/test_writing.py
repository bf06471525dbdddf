"""Files that a running Triton may read while they are written."""

from pathlib import Path

import pytest

from inference.writing import write_text


def test_a_text_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "m/labels.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["labels.txt"]


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    write_text(path, "old")
    path.chmod(0o640)
    write_text(path, "new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / "config.pbtxt", "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.pbtxt"]
