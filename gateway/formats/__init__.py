"""Picture formats, told apart by content, and what their headers say before any decoding."""

from gateway.errors import NotAPicture
from gateway.formats import avif, bmp, gif, jpeg, png, tiff, webp
from gateway.formats.header import Header

__all__ = ["Header", "read_header"]

MAGIC = (
    (b"\xff\xd8\xff", jpeg.read),
    (b"\x89PNG\r\n\x1a\n", png.read),
    (b"GIF87a", gif.read),
    (b"GIF89a", gif.read),
    (b"II*\0", tiff.read),
    (b"MM\0*", tiff.read),
    (b"BM", bmp.read),
)
ACCEPTED = "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF"


def read_header(data: bytes) -> Header:
    """Read the header of any accepted format; raise NotAPicture or UndecodablePicture."""
    if not data:
        raise NotAPicture(f"The file is empty; send a {ACCEPTED} picture.")
    for magic, read in MAGIC:
        if data.startswith(magic):
            return read(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webp.read(data)
    if avif.is_avif(data):
        return avif.read(data)
    raise NotAPicture(f"This is not a picture of an accepted kind; send a {ACCEPTED} picture.")
