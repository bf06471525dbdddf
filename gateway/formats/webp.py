"""WebP: lossy, lossless and extended files."""

import struct

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import Header, damaged

ANIMATION, ALPHA = 0x02, 0x10
MAX_CHUNKS = 4096


def read(data: bytes) -> Header:
    """Read a WebP's canvas size; animated and transparent files are for Pillow."""
    if len(data) < 30:
        raise damaged("WebP")
    kind = data[12:16]
    transparent, turned = False, 1
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        transparent = bool(bits >> 28 & 1)
    elif kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        transparent = bool(data[20] & (ANIMATION | ALPHA))
        turned = _orientation(data)
    else:
        raise damaged("WebP")
    return Header(
        "WebP", width, height, width * height * (16 if transparent else 4), turned, transparent
    )


def _orientation(data: bytes) -> int:
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            return orientation(read_tags(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")))
        at += 8 + length + length % 2
    return 1
