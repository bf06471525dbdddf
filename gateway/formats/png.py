"""PNG: size, transparency, orientation, and whether all of it is there."""

import struct

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import Header, damaged

# A picture of 20 MB has about 2,500 chunks; Pillow reads each in Python, so millions would last.
MAX_CHUNKS = 20_000
ALPHA_TYPES = frozenset({4, 6})


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
            memory = width * height * (4 if transparent else 3)
            return Header("PNG", width, height, memory, turned, transparent)
        at += 12 + length
    raise damaged("PNG")
