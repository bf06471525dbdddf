"""Shows OpenVINO a SavedModel the way it understands it, without changing or copying the weights.

OpenVINO knows only the signature `serving_default` of the graph tagged `serve`, and it misreads
some checkpoint indices. A temporary directory of links to the original solves both.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from inference.backends.tensorflow import wire
from inference.backends.tensorflow.checkpoint_index import mended_index
from inference.backends.tensorflow.signatures import (
    DEFAULT_SIGNATURE,
    DEFAULT_TAG,
    META_GRAPHS,
    META_INFO,
    SIGNATURES,
    TAGS,
    find_graph,
    read_bytes,
)


@contextlib.contextmanager
def staged(savedmodel: Path, signature: str, tag: str) -> Iterator[Path]:
    """Lend a directory in which the signature is the only and the default one."""
    with tempfile.TemporaryDirectory(prefix="edgelens_staging_") as name:
        directory = Path(name)
        (directory / "saved_model.pb").write_bytes(_with_default(savedmodel, signature, tag))
        if (savedmodel / "variables" / "variables.index").is_file():
            _stage_variables(savedmodel / "variables", directory / "variables")
        yield directory


def _stage_variables(source: Path, target: Path) -> None:
    """Link the data files and add an index that OpenVINO reads correctly."""
    target.mkdir()
    for data in source.glob("variables.data-*"):
        (target / data.name).symlink_to(data.resolve())
    index = mended_index(source)
    if index is None:
        (target / "variables.index").symlink_to((source / "variables.index").resolve())
    else:
        (target / "variables.index").write_bytes(index)


def _with_default(savedmodel: Path, signature: str, tag: str) -> bytes:
    """Rewrite a SavedModel: one graph, tagged `serve`, one signature, called `serving_default`."""
    model = memoryview(read_bytes(savedmodel))
    graph = find_graph(model, tag, savedmodel)
    rewritten = b"".join(_rewritten(field, value, raw, signature) for field, value, raw in
                         wire.fields(graph))  # fmt: skip
    kept = b"".join(bytes(raw) for field, _, raw in wire.fields(model) if field != META_GRAPHS)
    return kept + wire.encode(META_GRAPHS, rewritten)


def _rewritten(field: int, value: wire.Value, raw: memoryview, signature: str) -> bytes:
    """Rewrite one field of a MetaGraphDef."""
    if field == META_INFO and isinstance(value, memoryview):
        kept = b"".join(bytes(part) for number, _, part in wire.fields(value) if number != TAGS)
        return wire.encode(META_INFO, kept + wire.encode(TAGS, DEFAULT_TAG.encode()))
    if field == SIGNATURES and isinstance(value, memoryview):
        if wire.text(value, 1) != signature:
            return b""
        named = wire.encode(1, DEFAULT_SIGNATURE.encode())
        return wire.encode(SIGNATURES, named + wire.encode(2, bytes(wire.chunk(value, 2))))
    return bytes(raw)
