"""What is read from a SavedModel's `saved_model.pb`."""

import contextlib
import itertools

import pytest

from inference.backends.tensorflow import wire
from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.signatures import (
    INITIALISER,
    META_GRAPHS,
    META_INFO,
    SIGNATURES,
    TAGS,
    read_signature,
)

FLOAT = 1
TENSOR = wire.encode(1, b"x:0") + wire.encode_number(2, FLOAT)  # a TensorInfo without a shape


@pytest.fixture
def save(tmp_path):
    """Return a function that writes graphs, as pairs of a tag and the names of signatures."""

    def write(*graphs):
        (tmp_path / "saved_model.pb").write_bytes(b"".join(graph(*pair) for pair in graphs))
        return tmp_path

    return write


def graph(tag, names):
    tags = wire.encode(META_INFO, wire.encode(TAGS, tag.encode()))
    return wire.encode(META_GRAPHS, tags + b"".join(signature(name) for name in names))


def signature(name):
    inputs = wire.encode(1, wire.encode(1, b"x") + wire.encode(2, TENSOR))
    return wire.encode(SIGNATURES, wire.encode(1, name.encode()) + wire.encode(2, inputs))


@pytest.mark.parametrize("names", [["only"], [INITIALISER, "only"]])
def test_the_only_signature_is_taken_whatever_its_name(save, names):
    assert read_signature(save(("serve", names))).name == "only"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["first", "second"], "no signature 'serving_default'; it has 'first', 'second'"),
        ([INITIALISER], "saved without signatures"),
    ],
)
def test_where_none_can_be_taken_the_reason_is_said(save, names, reason):
    with pytest.raises(LoadError, match=reason):
        read_signature(save(("serve", names)))


def test_the_only_signature_or_graph_does_not_stand_in_for_the_one_that_was_named(save):
    directory = save(("gpu", ["only"]))
    assert read_signature(directory).name == "only"
    with pytest.raises(LoadError, match="no signature 'other'; it has 'only'"):
        read_signature(directory, name="other")
    with pytest.raises(LoadError, match="no graph with the tag 'tpu'; it has 'gpu'"):
        read_signature(directory, tag="tpu")


def test_a_directory_without_a_model_is_no_savedmodel(tmp_path):
    with pytest.raises(LoadError, match=r"is not a SavedModel: No such file .*\(saved_model\.pb\)"):
        read_signature(tmp_path)


def test_a_file_that_is_cut_short_is_damaged(save):
    directory = save(("serve", ["only"]))
    file = directory / "saved_model.pb"
    whole = file.read_bytes()
    for length in range(1, len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(LoadError, match="is damaged"):
            read_signature(directory)


def test_a_bit_that_has_changed_is_no_reason_to_break_off(save):
    directory = save(("serve", ["only"]))
    file = directory / "saved_model.pb"
    whole = file.read_bytes()
    for place, bit in itertools.product(range(len(whole)), range(8)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        with contextlib.suppress(LoadError):
            read_signature(directory)


def test_of_several_graphs_the_one_to_serve_is_taken_or_the_one_with_the_tag(save):
    directory = save(("gpu", ["on a GPU"]), ("serve", ["anywhere"]))
    assert read_signature(directory).name == "anywhere"
    assert read_signature(directory, tag="gpu").name == "on a GPU"
    with pytest.raises(LoadError, match="no graph with the tag 'serve'; it has 'gpu', 'tpu'"):
        read_signature(save(("tpu", ["only"]), ("gpu", ["only"])))


def test_a_tensor_without_a_shape_may_have_any(save):
    (tensor,) = read_signature(save(("serve", ["only"]))).inputs
    assert tensor.shape is None
