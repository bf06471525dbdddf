"""BMP: both header layouts."""

import struct

from gateway.formats.header import OPENCV_PIXEL_BYTES, Header, damaged

OLD_HEADER = 12


def read(data: bytes) -> Header:
    """Read a BMP's size; a negative height means that the rows run downwards."""
    if len(data) < 26:
        raise damaged("BMP")
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == OLD_HEADER else "<ii", data, 18)
    if width < 0:
        raise damaged("BMP")
    height = abs(height)
    return Header("BMP", width, height, width * height * OPENCV_PIXEL_BYTES)
