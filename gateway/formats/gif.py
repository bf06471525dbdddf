"""GIF: the first frame's size, found without reading a million tiny blocks."""

import struct

from gateway.formats.header import Header, damaged

EXTENSION, IMAGE = 0x21, 0x2C
# Before the first frame. Pillow joins comment blocks in Python: many would last for hours.
MAX_BLOCKS = 4096


def read(data: bytes) -> Header:
    """Read the canvas and the first frame, whichever is larger, one byte a pixel."""
    if len(data) < 13:
        raise damaged("GIF")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, blocks = 13 + _palette(flags), 0
    while data[at : at + 1] == bytes([EXTENSION]):
        at += 2
        while at < len(data) and data[at] and blocks < MAX_BLOCKS:
            at += 1 + data[at]
            blocks += 1
        if blocks >= MAX_BLOCKS:
            raise damaged("GIF")
        at += 1
    if data[at : at + 1] != bytes([IMAGE]) or at + 10 > len(data):
        raise damaged("GIF")
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, at + 1)
    width, height = max(width, left + frame_width), max(height, top + frame_height)
    return Header("GIF", width, height, width * height, by_pillow=True)


def _palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
