"""PNG: size, transparency, orientation, and whether all of it is there."""

import struct
from collections.abc import Iterator

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import OPENCV_PIXEL_BYTES, PILLOW_PIXEL_BYTES, Header, damaged

# A picture of 20 MB has about 2,500 chunks; Pillow reads each in Python, so millions would last.
MAX_CHUNKS = 20_000
GREY, ALPHA_TYPES = 0, frozenset({4, 6})
# OpenCV is faster, Pillow needs less memory.
OPENCV_PIXELS = 8_000_000
ESSENTIAL = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def read(data: bytes) -> Header:
    """Read a PNG's header; UndecodablePicture unless the file runs to its last chunk."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise damaged("PNG")
    width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
    by_pillow, turned = kind in ALPHA_TYPES, 1
    for name, start, stop in _chunks(data):
        if name == b"tRNS" and depth < 16:  # Pillow knows no transparent colour of 16 bits
            by_pillow = True
        elif name == b"eXIf":
            turned = orientation(read_tags(data[start + 8 : stop - 4]))
    if width * height > OPENCV_PIXELS and not (kind == GREY and depth == 16):
        by_pillow = True  # but 16-bit grey it would cut off instead of scaling it down
    memory = width * height * (PILLOW_PIXEL_BYTES if by_pillow else OPENCV_PIXEL_BYTES)
    return Header("PNG", width, height, memory, turned, by_pillow)


def without_extras(data: bytes) -> bytes:
    """Return the still picture alone: no frames, profiles and texts to unpack or complain about."""
    kept = [data[start:stop] for name, start, stop in _chunks(data) if name in ESSENTIAL]
    return data[:8] + b"".join(kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name and the limits of every chunk up to IEND."""
    at = 8
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, at)
        stop = at + 12 + length
        if stop > len(data):  # OpenCV would believe the length and fetch up to 4 GB of memory
            break
        yield name, at, stop
        if name == b"IEND":
            return
        at = stop
    raise damaged("PNG")
