"""BMP: both header layouts."""

import struct

from gateway.formats.header import OPENCV_PIXEL_BYTES, Header, damaged, unsupported

OLD_HEADER = 12
HEADER_WITH_MASKS = 56  # OpenCV follows the masks of 32-bit pixels only in a header of this size
BITFIELDS = 3
DEPTHS = frozenset({1, 4, 8, 16, 24, 32})
# What the decoders can read wherever the masks stand. Pillow reads both kinds of 16 bits.
MASKS = {
    16: frozenset({(0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F)}),
    32: frozenset({(0xFF0000, 0xFF00, 0xFF)}),
}


def read(data: bytes) -> Header:
    """Read a BMP's size; a negative height means that the rows run downwards."""
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == OLD_HEADER else "<ii", data, 18)
    (bits,) = struct.unpack_from("<H", data, 24 if size == OLD_HEADER else 28)
    if width < 0:
        raise damaged("BMP")
    height = abs(height)
    masked = size != OLD_HEADER and struct.unpack_from("<I", data, 30) == (BITFIELDS,)
    if bits not in DEPTHS or (masked and not _has_known_masks(data, size, bits)):
        raise unsupported("BMP", "it as PNG")
    return Header(
        "BMP", width, height, width * height * OPENCV_PIXEL_BYTES, by_pillow=masked and bits == 16
    )


def _has_known_masks(data: bytes, size: int, bits: int) -> bool:
    if bits == 32 and size >= HEADER_WITH_MASKS:
        return True
    return bits in MASKS and struct.unpack_from("<3I", data, 54) in MASKS[bits]
