"""JPEG: the frame header, the EXIF orientation and what the decoder will have to keep."""

import struct
from dataclasses import dataclass

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import Header, damaged

EOI, SOS, APP1 = 0xD9, 0xDA, 0xE1
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
FRAMES = frozenset({*range(0xC0, 0xD0)}) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# Each scan passes over the whole picture: hundreds of empty ones would be hours of work.
MAX_SCANS = 64
COEFFICIENT_BYTES = 2


@dataclass(slots=True)
class Frame:
    """The start-of-frame segment."""

    marker: int
    width: int
    height: int
    components: int
    coefficients: int


def read(data: bytes) -> Header:
    """Read a JPEG's header; UndecodablePicture unless the file runs to its end marker."""
    frame: Frame | None = None
    turned = 1
    at = 2
    while True:
        marker, at = _next_marker(data, at)
        if marker in STANDALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data) or marker == EOI:
            raise damaged("JPEG")
        body = data[at + 2 : at + length] if marker in FRAMES or marker == APP1 else b""
        if marker in FRAMES and frame is None:
            frame = _frame(marker, body)
        elif marker == APP1 and turned == 1 and body.startswith(b"Exif\0\0"):
            turned = orientation(read_tags(body[6:]))
        at += length
        if marker == SOS:
            break
    if frame is None:
        raise damaged("JPEG")
    return _header(data, at - length, frame, turned)


def _header(data: bytes, scan: int, frame: Frame, turned: int) -> Header:
    # What is cut off would be grey and be classified so: a picture must be all there.
    if data.rfind(b"\xff\xd9", scan) < 0:
        raise damaged("JPEG")
    several = frame.marker in PROGRESSIVE or data[scan + 2] < frame.components
    if several and data.count(b"\xff\xda", scan) >= MAX_SCANS:
        raise damaged("JPEG")
    memory = frame.coefficients * COEFFICIENT_BYTES if several else 0
    return Header("JPEG", frame.width, frame.height, memory, turned, scalable=True)


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """Find the next marker as libjpeg does: over any bytes between two segments."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise damaged("JPEG")
        at += 1
        if data[at] not in (0x00, 0xFF):
            return data[at], at + 1


def _frame(marker: int, body: bytes) -> Frame:
    if len(body) < 6:
        raise damaged("JPEG")
    _, height, width, count = struct.unpack_from(">BHHB", body)
    factors = [(byte >> 4, byte & 15) for byte in body[7 : 6 + 3 * count : 3]]
    if not width or not height or len(factors) != count or not all(a and b for a, b in factors):
        raise damaged("JPEG")
    widest, tallest = max(a for a, _ in factors), max(b for _, b in factors)
    # Whole interleaved units are kept: widest x tallest blocks of 8x8, even at the edges.
    units = -(-width // (8 * widest)) * -(-height // (8 * tallest))
    return Frame(marker, width, height, count, 64 * units * sum(a * b for a, b in factors))
