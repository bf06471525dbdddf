"""Reads and writes `variables.index`: a sorted table of what a checkpoint's data files hold."""

import struct
from pathlib import Path

from inference.backends.tensorflow import wire

OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
# OpenVINO skips this many bytes to reach the object graph: a two-byte length and a checksum.
EXPECTED_HEADER = 6
CHECKSUM_BYTES = 4
MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FOOTER_BYTES = 48
COUNT_BYTES = 4  # a block ends with its restart points and their number
OFFSET, SIZE, SHARD = 4, 5, 3


def mended_index(variables: Path) -> bytes | None:
    """Return an index with which OpenVINO finds the object graph; None if it needs no change.

    The length in front of the object graph takes one byte up to 127, two up to 16383, else three.
    OpenVINO 2026.4 always assumes two; with others it may fail with "Cannot find requested
    variable". Moving the entry's offset by the difference makes its arithmetic right.
    """
    entries = read_table(memoryview((variables / "variables.index").read_bytes()))
    entry = entries.get(OBJECT_GRAPH)
    if entry is None:
        return None
    view = memoryview(entry)
    shards = sorted(variables.glob("variables.data-*"))
    shard = wire.number(view, SHARD)
    if shard >= len(shards):
        raise ValueError(f"{variables} has variables.index, but its variables.data is missing")
    with shards[shard].open("rb") as data:
        data.seek(wire.number(view, OFFSET))
        header = wire.varint(memoryview(data.read(10)), 0)[1] + CHECKSUM_BYTES
    if header == EXPECTED_HEADER:
        return None
    if wire.number(view, OFFSET) + header < EXPECTED_HEADER:
        del entries[OBJECT_GRAPH]  # nothing comes before it: there are no variables to find
    else:
        entries[OBJECT_GRAPH] = _moved(view, header - EXPECTED_HEADER)
    return write_table(entries)


def read_table(table: memoryview) -> dict[bytes, bytes]:
    """Read every pair of a table. Raises ValueError if it is damaged or compressed."""
    if len(table) < FOOTER_BYTES or table[-8:] != MAGIC:
        raise ValueError("variables.index is damaged")
    footer = table[-FOOTER_BYTES:]
    _, position = _handle(footer, 0)
    (offset, size), _ = _handle(footer, position)
    pairs: dict[bytes, bytes] = {}
    for handle in _block(table, offset, size).values():
        (offset, size), _ = _handle(memoryview(handle), 0)
        pairs.update(_block(table, offset, size))
    return pairs


def write_table(pairs: dict[bytes, bytes]) -> bytes:
    """Write a table of one block."""
    data = _encode_block(pairs)
    last = max(pairs)
    index = _encode_block({last: _encode_handle(0, len(data))})
    empty = _encode_block({})
    start = len(data) + 5
    body = b"".join(block + bytes(5) for block in (data, index, empty))
    handles = _encode_handle(start + len(index) + 5, len(empty)) + _encode_handle(start, len(index))
    return body + handles.ljust(FOOTER_BYTES - 8, b"\0") + MAGIC


def _block(table: memoryview, offset: int, size: int) -> dict[bytes, bytes]:
    """Read the pairs of one block; a key shares its beginning with the key before it."""
    if not COUNT_BYTES <= size < len(table) - offset:
        raise ValueError("variables.index is damaged")
    if table[offset + size] != 0:
        raise ValueError("variables.index is compressed")
    restarts = struct.unpack_from("<I", table, offset + size - COUNT_BYTES)[0]
    block = table[offset : offset + size - COUNT_BYTES * (restarts + 1)]
    pairs: dict[bytes, bytes] = {}
    key, position = b"", 0
    while position < len(block):
        shared, position = wire.varint(block, position)
        own, position = wire.varint(block, position)
        length, position = wire.varint(block, position)
        key = key[:shared] + bytes(block[position : position + own])
        pairs[key] = bytes(block[position + own : position + own + length])
        position += own + length
    return pairs


def _encode_block(pairs: dict[bytes, bytes]) -> bytes:
    """Write a block whose keys share nothing, with the one restart point a block must have."""
    entries = [
        wire.encode_varint(0)
        + wire.encode_varint(len(key))
        + wire.encode_varint(len(value))
        + key
        + value
        for key, value in sorted(pairs.items())
    ]
    return b"".join(entries) + struct.pack("<II", 0, 1)


def _handle(data: memoryview, position: int) -> tuple[tuple[int, int], int]:
    """Read where a block is: offset and size in bytes."""
    offset, position = wire.varint(data, position)
    size, position = wire.varint(data, position)
    return (offset, size), position


def _encode_handle(offset: int, size: int) -> bytes:
    return wire.encode_varint(offset) + wire.encode_varint(size)


def _moved(entry: memoryview, distance: int) -> bytes:
    """Move a BundleEntryProto's beginning, keeping its end: a later value of a field counts."""
    offset = wire.encode_number(OFFSET, wire.number(entry, OFFSET) + distance)
    return bytes(entry) + offset + wire.encode_number(SIZE, wire.number(entry, SIZE) - distance)
