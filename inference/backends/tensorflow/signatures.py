"""Reads the signatures of a SavedModel from its `saved_model.pb`, without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.backends.tensorflow import wire
from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.tensors import TENSORFLOW_NAMES, TRITON_TYPES, Tensor

DEFAULT_SIGNATURE = "serving_default"
DEFAULT_TAG = "serve"
INITIALISER = "__saved_model_init_op"

# Field numbers of saved_model.proto and meta_graph.proto.
META_GRAPHS, META_INFO, TAGS, SIGNATURES = 2, 1, 4, 5


@dataclass(frozen=True)
class Signature:
    """One signature: what goes in and what comes out, in order of name."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def batches(self) -> bool:
        """Tell whether every tensor's first dimension varies."""
        return all(tensor.batches for tensor in (*self.inputs, *self.outputs))

    @property
    def strings(self) -> list[str]:
        """Name the tensors that hold strings."""
        tensors = (*self.inputs, *self.outputs)
        return [tensor.name for tensor in tensors if tensor.data_type == "TYPE_STRING"]


def read_signature(directory: Path, tag: str = "", name: str = "") -> Signature:
    """Read the signature called `name`, else `serving_default`, else the only one.

    Raises LoadError if there is no such SavedModel, tag or signature.
    """
    found = read_signatures(directory, tag)
    chosen = name or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in found else "")
    if not chosen and len(found) == 1:
        chosen = next(iter(found))
    if not found:
        raise LoadError(
            f"{directory} was saved without signatures: save it with tf.saved_model.save(...,"
            " signatures=...), or with Keras's model.export"
        )
    if chosen not in found:
        wanted = f"signature '{chosen}'" if chosen else f"signature '{DEFAULT_SIGNATURE}'"
        raise LoadError(
            f"{directory} has no {wanted}; it has {_listed(found)}: choose one with the"
            " parameter `signature` (or TF_SIGNATURE_DEF)"
        )
    return found[chosen]


def read_signatures(directory: Path, tag: str = "") -> dict[str, Signature]:
    """Map the names of all signatures under a tag to what they say. Raises LoadError."""
    try:
        graph = find_graph(memoryview(read_bytes(directory)), tag, directory)
        found = [_signature(entry) for entry in wire.chunks(graph, SIGNATURES)]
    except ValueError as error:
        raise LoadError(f"{directory}/saved_model.pb is damaged: {error}") from error
    return {signature.name: signature for signature in found if signature.name != INITIALISER}


def read_bytes(directory: Path) -> bytes:
    """Read `saved_model.pb`. Raises LoadError if it is missing."""
    try:
        return (directory / "saved_model.pb").read_bytes()
    except OSError as error:
        raise LoadError(
            f"{directory} is not a SavedModel: {error.strerror} (saved_model.pb)"
        ) from error


def tags(graph: memoryview) -> list[str]:
    """List the tags of a meta graph."""
    return [bytes(tag).decode() for tag in wire.chunks(wire.chunk(graph, META_INFO), TAGS)]


def find_graph(model: memoryview, tag: str, directory: Path) -> memoryview:
    """Find the graph with a tag; without one `serve`, else the only graph. Raises LoadError."""
    graphs = list(wire.chunks(model, META_GRAPHS))
    for graph in graphs:
        if (tag or DEFAULT_TAG) in tags(graph):
            return graph
    if not tag and len(graphs) == 1:
        return graphs[0]
    if not graphs:
        raise LoadError(
            f"{directory}/saved_model.pb does not belong to a SavedModel; it may be a frozen graph:"
            " export the model as a SavedModel"
        )
    known = sorted({known for graph in graphs for known in tags(graph)})
    raise LoadError(
        f"{directory} has no graph with the tag '{tag or DEFAULT_TAG}'; it has {_listed(known)}:"
        " choose one with the parameter TF_GRAPH_TAG"
    )


def _signature(entry: memoryview) -> Signature:
    """Decode an entry of the map from names to SignatureDefs."""
    definition = wire.chunk(entry, 2)
    return Signature(wire.text(entry, 1), _tensors(definition, 1), _tensors(definition, 2))


def _tensors(definition: memoryview, field: int) -> tuple[Tensor, ...]:
    """Decode the map of inputs (field 1) or outputs (field 2)."""
    entries = list(wire.chunks(definition, field))
    found = [_tensor(wire.text(entry, 1), wire.chunk(entry, 2)) for entry in entries]
    return tuple(sorted(found, key=lambda tensor: tensor.name))


def _tensor(name: str, info: memoryview) -> Tensor:
    """Decode a TensorInfo. One that consists of several tensors names no tensor of the graph."""
    kind = wire.number(info, 2)
    known = TRITON_TYPES.get(kind) or TENSORFLOW_NAMES.get(kind, f"of TensorFlow's type {kind}")
    return Tensor(name, known if wire.text(info, 1) else "sparse or ragged", _shape(info))


def _shape(info: memoryview) -> tuple[int, ...] | None:
    """Decode a TensorShapeProto; None is an unknown rank."""
    found = list(wire.chunks(info, 3))
    if not found or wire.number(found[-1], 3):
        return None
    return tuple(wire.number(dim, 1) for dim in wire.chunks(found[-1], 2))


def _listed(names: Mapping[str, object] | list[str]) -> str:
    """List names for a message."""
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
