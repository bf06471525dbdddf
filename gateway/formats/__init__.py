"""Picture formats, told apart by content, and what their headers say before any decoding."""

import re
import struct
from collections.abc import Callable

from gateway.errors import NotAPicture
from gateway.formats import avif, bmp, gif, jpeg, png, tiff, webp
from gateway.formats.header import Header, damaged

__all__ = ["Header", "read_header"]

Reader = Callable[[bytes], Header]
MAGIC: tuple[tuple[bytes, str, Reader], ...] = (
    (b"\xff\xd8\xff", "JPEG", jpeg.read),
    (b"\x89PNG\r\n\x1a\n", "PNG", png.read),
    (b"GIF87a", "GIF", gif.read),
    (b"GIF89a", "GIF", gif.read),
    (b"II*\0", "TIFF", tiff.read),
    (b"MM\0*", "TIFF", tiff.read),
    (b"BM", "BMP", bmp.read),
)
ACCEPTED = "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF"
# Files that people take for pictures which every program reads, by their first bytes.
OTHERS = (
    (rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", "HEIC, the format of iPhone photos"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
    (rb"II\+\0|MM\0\+", "BigTIFF, for files of gigabytes"),
    (rb"%PDF-", "a PDF"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg", "SVG"),
    (rb"(?i)\s*<(!doctype )?html", "a web page"),
    (rb"\s*(data:image/|/9j/|iVBORw0KGgo|R0lGOD|UklGR)", "base64, not the picture's own bytes"),
)
BEGINNING = 1024  # bytes in which to look for that


def read_header(data: bytes) -> Header:
    """Read the header of any accepted format; raise NotAPicture or UndecodablePicture."""
    name, read = _recognise(data)
    try:
        return read(data)
    except (IndexError, ValueError, struct.error) as exc:  # it ran off the end of a table
        raise damaged(name) from exc


def _recognise(data: bytes) -> tuple[str, Reader]:
    if not data:
        raise NotAPicture(f"The file is empty; send a {ACCEPTED} picture.")
    for magic, name, read in MAGIC:
        if data.startswith(magic):
            return name, read
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP", webp.read
    if avif.is_avif(data):
        return "AVIF", avif.read
    for pattern, kind in OTHERS:
        if re.match(pattern, data[:BEGINNING], re.DOTALL):
            raise NotAPicture(f"This is {kind}; send a {ACCEPTED} picture.")
    raise NotAPicture(f"This is not a picture in an accepted format; send a {ACCEPTED} picture.")
