"""AVIF: the largest picture its boxes announce."""

import struct
from collections.abc import Iterator

from gateway.formats.header import Header, damaged

BRANDS = (b"avif", b"avis")
PATH = (b"meta", b"iprp", b"ipco")
MAX_BOXES = 1024
# libavif's planes, its RGB copy and Pillow's picture exist at the same time.
BYTES_PER_PIXEL, DEEP_BYTES_PER_PIXEL = 12, 16
HIGH_BIT_DEPTH = 0x40


def is_avif(data: bytes) -> bool:
    """Tell AVIF from the other users of this container by the brands it claims."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    return data[4:8] == b"ftyp" and any(
        data[at : at + 4] in BRANDS for at in (8, *range(16, size, 4))
    )


def read(data: bytes) -> Header:
    """Read the size from the image properties: a grid, its tiles and its alpha each have one."""
    start, end = 0, len(data)
    for name in PATH:
        start, end = _find(data, start, end, name)
        start += 4 if name == b"meta" else 0
    sizes, pixel_bytes = [], BYTES_PER_PIXEL
    for kind, at, stop in _boxes(data, start, end):
        if kind == b"ispe" and stop - at >= 12:
            sizes.append(struct.unpack_from(">II", data, at + 4))
        elif kind == b"av1C" and stop - at >= 4 and data[at + 2] & HIGH_BIT_DEPTH:
            pixel_bytes = DEEP_BYTES_PER_PIXEL
    if not sizes:
        raise damaged("AVIF")
    width, height = max(width for width, _ in sizes), max(height for _, height in sizes)
    return Header("AVIF", width, height, width * height * pixel_bytes, by_pillow=True)


def _find(data: bytes, start: int, end: int, name: bytes) -> tuple[int, int]:
    for kind, at, stop in _boxes(data, start, end):
        if kind == name:
            return at, stop
    raise damaged("AVIF")


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield each box's kind and the limits of its content."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            header = 16
        stop = end if size == 0 else start + size
        if (size and size < header) or stop > end:
            return
        yield kind, start + header, stop
        start = stop
