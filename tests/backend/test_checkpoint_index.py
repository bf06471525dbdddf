"""The table that says where a checkpoint's weights are."""

import shutil

import openvino as ov
import pytest

from inference.backends.tensorflow.checkpoint_index import (
    MAGIC,
    OBJECT_GRAPH,
    mended_index,
    read_table,
    write_table,
)
from inference.backends.tensorflow.staging import staged


@pytest.fixture
def variables(foreign):
    return foreign / "repository" / "many_variables" / "1" / "model.savedmodel" / "variables"


def table(variables):
    return read_table(memoryview((variables / "variables.index").read_bytes()))


def test_every_weight_of_a_checkpoint_is_found(variables):
    names = [name for name in table(variables) if name.startswith(b"model/_operations/")]
    assert len(names) == 260
    assert OBJECT_GRAPH in table(variables)


def test_a_table_is_read_as_it_was_written(variables):
    pairs = table(variables)
    assert read_table(memoryview(write_table(pairs))) == pairs


def test_the_entry_of_a_long_object_graph_is_moved(variables):
    mended = read_table(memoryview(mended_index(variables)))
    changed = {name for name, value in table(variables).items() if mended[name] != value}
    assert changed == {OBJECT_GRAPH}


def test_an_index_that_openvino_reads_right_is_left_alone(foreign):
    directory = foreign / "parts" / "several_inputs" / "1" / "model.savedmodel" / "variables"
    assert mended_index(directory) is None


def test_openvino_reads_a_mended_index(variables):
    with pytest.raises(RuntimeError, match="Cannot find requested variable"):
        ov.Core().read_model(variables.parent)
    with staged(variables.parent, "serving_default", "") as directory:
        assert len(ov.Core().read_model(directory).inputs) == 1


@pytest.mark.parametrize(
    "damage",
    [b"", b"x" * 100, b"\x7f" * 40 + MAGIC, bytes(40) + MAGIC],
    ids=["empty", "not a table", "a block beyond the end", "a block of nothing"],
)
def test_a_damaged_index_is_refused(damage):
    with pytest.raises(ValueError, match="damaged"):
        read_table(memoryview(damage))


def test_an_index_whose_data_is_missing_is_refused(foreign, tmp_path):
    source = foreign / "parts" / "several_inputs" / "1" / "model.savedmodel" / "variables"
    shutil.copy(source / "variables.index", tmp_path)
    with pytest.raises(ValueError, match="data is missing"):
        mended_index(tmp_path)
