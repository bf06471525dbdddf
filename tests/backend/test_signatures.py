"""What is read from a SavedModel's `saved_model.pb`."""

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


def test_of_several_graphs_the_one_to_serve_is_taken_or_the_one_with_the_tag(save):
    directory = save(("gpu", ["on a GPU"]), ("serve", ["anywhere"]))
    assert read_signature(directory).name == "anywhere"
    assert read_signature(directory, tag="gpu").name == "on a GPU"
    with pytest.raises(LoadError, match="no graph with the tag 'serve'; it has 'gpu', 'tpu'"):
        read_signature(save(("tpu", ["only"]), ("gpu", ["only"])))


def test_a_tensor_without_a_shape_may_have_any(save):
    (tensor,) = read_signature(save(("serve", ["only"]))).inputs
    assert tensor.shape is None
