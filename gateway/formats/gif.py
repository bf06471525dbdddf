"""GIF: the first frame's size, found without reading a million tiny blocks."""

import struct

from gateway.formats.header import Header, damaged

EXTENSION, IMAGE = 0x21, 0x2C
# Before the first frame. Pillow joins comment blocks in Python: many would take hours.
MAX_BLOCKS = 4096


def read(data: bytes) -> Header:
    """Read the canvas and the first frame, whichever is larger; one byte per pixel."""
    at = _first_frame(data)
    width, height = struct.unpack_from("<HH", data, 6)
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, at + 1)
    width, height = max(width, left + frame_width), max(height, top + frame_height)
    return Header("GIF", width, height, width * height, by_pillow=True)


def _first_frame(data: bytes) -> int:
    at, within_extension = 13 + _palette(data[10]), False
    for _ in range(MAX_BLOCKS):
        byte = data[at]
        if within_extension:
            at, within_extension = at + 1 + byte, byte != 0
        elif byte == EXTENSION:
            at, within_extension = at + 2, True
        elif byte == IMAGE:
            return at
        else:
            break
    raise damaged("GIF")


def _palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
