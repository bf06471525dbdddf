"""BMP: both header layouts."""

import struct

from gateway.formats.header import OPENCV_PIXEL_BYTES, Header, damaged, unsupported

OLD_HEADER, WINDOWS_3_HEADER = 12, 40
BITFIELDS = 3
MASKS = (0xFF0000, 0xFF00, 0xFF)  # the only ones OpenCV follows after a Windows 3 header


def read(data: bytes) -> Header:
    """Read a BMP's size; a negative height means that the rows run downwards."""
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == OLD_HEADER else "<ii", data, 18)
    if width < 0:
        raise damaged("BMP")
    height = abs(height)
    if size == WINDOWS_3_HEADER and len(data) >= 66:
        bits, compression = struct.unpack_from("<HI", data, 28)
        if (bits, compression) == (32, BITFIELDS) and struct.unpack_from("<3I", data, 54) != MASKS:
            raise unsupported("BMP", "it as PNG")
    return Header("BMP", width, height, width * height * OPENCV_PIXEL_BYTES)
