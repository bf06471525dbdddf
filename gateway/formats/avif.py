"""AVIF: the largest picture that its boxes and its AV1 streams announce."""

import struct

from gateway.errors import UndecodablePicture
from gateway.formats.av1 import largest_frame
from gateway.formats.boxes import av1_items, find, item_extents, walk
from gateway.formats.header import Header

BRANDS = (b"avif", b"avis")
# libavif's planes, its RGB copy and Pillow's picture exist at the same time.
BYTES_PER_PIXEL, DEEP_BYTES_PER_PIXEL = 12, 16
HIGH_BIT_DEPTH = 0x40
MAX_ITEMS = 256


def is_avif(data: bytes) -> bool:
    """Tell AVIF from the other users of this container by the brands it claims."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    return data[4:8] == b"ftyp" and any(
        data[at : at + 4] in BRANDS for at in (8, *range(16, size, 4))
    )


def read(data: bytes) -> Header:
    """Read the largest size announced: the decoder obeys the AV1 streams, whatever the boxes say.

    Animated files are refused as UndecodablePicture, like damaged ones.
    """
    if any(kind == b"moov" for kind, _ in walk(data)):
        raise UndecodablePicture("Animated AVIF is not accepted; send a still picture.")
    meta = find(data, b"meta")[4:]
    streams = _streams(data, meta)
    sizes, deep = _properties(meta)
    sizes += [largest_frame(stream) for stream in streams]
    width = max((width for width, _ in sizes), default=0)
    height = max((height for _, height in sizes), default=0)
    memory = width * height * (DEEP_BYTES_PER_PIXEL if deep else BYTES_PER_PIXEL)
    return Header("AVIF", width, height, memory, by_pillow=True)


def _streams(data: bytes, meta: bytes) -> list[memoryview]:
    pictures = av1_items(find(meta, b"iinf"))
    extents = list(item_extents(find(meta, b"iloc"), pictures))
    # A length of 0 means "to the end", which no encoder in use writes.
    if len(extents) > MAX_ITEMS or not all(size for _, size in extents):
        raise ValueError("items that cannot all be pictures")
    return [memoryview(data)[at : at + size] for at, size in extents]


def _properties(meta: bytes) -> tuple[list[tuple[int, int]], bool]:
    """Return all sizes (a grid, its tiles and its alpha each have one) and whether any is deep."""
    sizes, deep = [], False
    for kind, content in walk(find(find(meta, b"iprp"), b"ipco")):
        if kind == b"ispe":
            sizes.append(struct.unpack_from(">II", content, 4))
        elif kind == b"av1C":
            deep = deep or bool(content[2] & HIGH_BIT_DEPTH)
    return sizes, deep
