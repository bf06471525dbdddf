"""PNG: size, transparency, orientation, and whether all of it is there."""

import struct

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import OPENCV_PIXEL_BYTES, PILLOW_PIXEL_BYTES, Header, damaged

# A picture of 20 MB has about 2,500 chunks; Pillow reads each in Python, so millions would last.
MAX_CHUNKS = 20_000
GREY, ALPHA_TYPES = 0, frozenset({4, 6})
# OpenCV is faster, Pillow needs less memory.
OPENCV_PIXELS = 8_000_000


def read(data: bytes) -> Header:
    """Read a PNG's header; UndecodablePicture unless the file runs to its last chunk."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise damaged("PNG")
    width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
    transparent, turned = kind in ALPHA_TYPES, 1
    at = 8
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"tRNS":
            # A transparent colour of 16 bits is beyond Pillow; such pictures count as opaque.
            transparent = transparent or depth < 16
        elif name == b"eXIf":
            turned = orientation(read_tags(data[at + 8 : at + 8 + length]))
        elif name == b"IEND":
            grey16 = kind == GREY and depth == 16  # which Pillow would cut off, not scale down
            large = width * height > OPENCV_PIXELS and not grey16
            by_pillow = transparent or large
            memory = width * height * (PILLOW_PIXEL_BYTES if by_pillow else OPENCV_PIXEL_BYTES)
            return Header("PNG", width, height, memory, turned, by_pillow)
        at += 12 + length
    raise damaged("PNG")
