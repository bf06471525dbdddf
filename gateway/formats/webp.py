"""WebP: lossy, lossless and extended files."""

import struct

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import Header, damaged

# Measured: OpenCV with a lossless picture, and Pillow, which treats all as animated.
PIXEL_BYTES, ANIMATED_PIXEL_BYTES = 7, 16
ANIMATION, ALPHA = 0x02, 0x10
MAX_CHUNKS = 4096


def read(data: bytes) -> Header:
    """Read a WebP's canvas size; Pillow decodes animated and transparent files."""
    kind = data[12:16]
    by_pillow, turned = False, 1
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        by_pillow = bool(bits >> 28 & 1)
    elif kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        by_pillow = bool(data[20] & (ANIMATION | ALPHA))
        turned = _orientation(data)
    else:
        raise damaged("WebP")
    memory = width * height * (ANIMATED_PIXEL_BYTES if by_pillow else PIXEL_BYTES)
    return Header("WebP", width, height, memory, turned, by_pillow)


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
