from pathlib import Path

import pytest

from exporter.errors import ExportError
from exporter.labels import imagenet_labels, labels_for, read_labels
from tests.photos import photos


def test_imagenet_labels_stand_in_the_order_of_the_outputs() -> None:
    labels = imagenet_labels()
    assert len(set(labels)) == 1000
    for photo in photos():
        assert labels[photo.index] == f"{photo.wnid} {photo.label}"


def test_a_users_labels_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("cat\r\nfür dogs \n", encoding=encoding)
        assert labels_for(2, path) == ["cat", "für dogs"]


def test_only_a_line_end_ends_a_label_as_in_triton(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat\u2028Katze\ndog\x0bHund\n", encoding="utf-8")
    assert read_labels(path) == ["cat\u2028Katze", "dog\x0bHund"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "line 1 of .* is empty"),
        (b"cat\n\ndog\n", "line 2 of .* is empty"),
        (b"\xff\xfe", "not UTF-8 text; save them as UTF-8"),
    ],
    ids=["empty", "empty-line", "not-text"],
)
def test_a_bad_label_file_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=sentence):
        read_labels(path)


def test_a_table_is_refused_but_not_a_column_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("0,cat\n1,dog\n")
    with pytest.raises(ExportError, match="is a table; give one label per line"):
        read_labels(path)
    path.write_text("cat\ndog, or wolf\n")
    assert read_labels(path) == ["cat", "dog, or wolf"]


def test_a_label_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot read the labels in .*: No such file"):
        read_labels(tmp_path / "labels.txt")


def test_another_number_of_labels_than_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat\ndog\n")
    with pytest.raises(ExportError, match="has 2 labels but the weights have 3 classes"):
        labels_for(3, path)


def test_a_single_output_has_two_labels_and_their_order_is_told(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat\n")
    for labels in (path, None):
        with pytest.raises(ExportError, match="single output: what 0 means, then what 1 means"):
            labels_for(2, labels)
    with pytest.raises(
        ExportError, match=r"has 1 label but the weights have 3 classes; .*outputs$"
    ):
        labels_for(3, path)


def test_other_classes_than_imagenets_need_a_label_file() -> None:
    with pytest.raises(ExportError, match=r"3 classes, .* name them with --labels"):
        labels_for(3, None)


def test_empty_lines_at_the_end_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\n\n \n")
    assert read_labels(tmp_path / "labels.txt") == ["cat", "dog"]
