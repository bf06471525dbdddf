"""JPEG: the frame header, the EXIF orientation and the memory that the decoder needs."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import Header, damaged, unsupported

EOI, SOS, APP1 = 0xD9, 0xDA, 0xE1
# Neither a stuffed or repeated FF nor a marker that stands alone.
MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")
# A photograph has a few dozen; millions of empty ones would take the parser seconds.
MAX_SEGMENTS = 4096
FRAMES = frozenset({*range(0xC0, 0xD0)}) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = frozenset({0xC2, 0xCA})
DECODED = PROGRESSIVE | {0xC0, 0xC1, 0xC9}  # neither lossless nor hierarchical
# Each scan passes over the whole picture: hundreds of empty ones would take hours.
MAX_SCANS = 64
SCANNED_PIXELS = 1_200_000_000  # about a second; usual files have ten scans
COEFFICIENT_BYTES = 2


@dataclass(slots=True)
class StartOfFrame:
    """The start-of-frame segment."""

    marker: int
    width: int
    height: int
    components: int
    coefficients: int


def read(data: bytes) -> Header:
    """Read a JPEG's header; UndecodablePicture unless the file runs to its end marker."""
    frame: StartOfFrame | None = None
    turned = 1
    for marker, start, stop in _segments(data, 2):
        body = data[start:stop] if marker in FRAMES or marker == APP1 else b""
        if marker in FRAMES and frame is None:
            frame = _frame(marker, body)
        elif marker == APP1 and turned == 1 and body.startswith(b"Exif\0\0"):
            turned = orientation(read_tags(body[6:]))
        elif marker == SOS:
            break
    if frame is None or marker != SOS:
        raise damaged("JPEG")
    return _header(data, start, stop, frame, turned)


def _header(data: bytes, scan: int, pixels: int, frame: StartOfFrame, turned: int) -> Header:
    # Missing parts would be classified as grey areas, so a picture must be complete.
    if data.rfind(b"\xff\xd9", scan) < 0:
        raise damaged("JPEG")
    several = frame.marker in PROGRESSIVE or data[scan] < frame.components
    if several:
        scans = 1 + sum(marker == SOS for marker, *_ in _segments(data, pixels))
        if scans > MAX_SCANS or scans * frame.width * frame.height > SCANNED_PIXELS:
            raise damaged("JPEG")
    memory = frame.coefficients * COEFFICIENT_BYTES if several else 0
    return Header("JPEG", frame.width, frame.height, memory, turned, scalable=True)


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield the marker and the limits of each segment's content, up to the end marker.

    Like libjpeg, it skips any bytes between two segments, including pixels. What a camera has put
    after the end, such as a film, is not part of the picture.
    """
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(data, at)
        if not found:
            break
        marker, at = found[1][0], found.end()
        if marker == EOI:
            return
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            break
        yield marker, at + 2, at + length
        at += length
    raise damaged("JPEG")


def _frame(marker: int, body: bytes) -> StartOfFrame:
    depth, height, width, count = struct.unpack_from(">BHHB", body)
    if marker not in DECODED or depth != 8:
        raise unsupported("JPEG", "an ordinary one")
    factors = [(byte >> 4, byte & 15) for byte in body[7 : 6 + 3 * count : 3]]
    if not width or not height or len(factors) != count or not all(a and b for a, b in factors):
        raise damaged("JPEG")
    widest, tallest = max(a for a, _ in factors), max(b for _, b in factors)
    # Whole interleaved units are kept: widest x tallest blocks of 8x8, even at the edges.
    units = -(-width // (8 * widest)) * -(-height // (8 * tallest))
    return StartOfFrame(marker, width, height, count, 64 * units * sum(a * b for a, b in factors))
