"""PNG: size, orientation, which library decodes it, and whether the file is complete."""

import struct
import zlib
from collections.abc import Iterator

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import OPENCV_PIXEL_BYTES, PILLOW_PIXEL_BYTES, Header, damaged

# A picture of 20 MB has about 2,500 chunks. Pillow reads each in Python: millions would take long.
MAX_CHUNKS = 20_000
GREY = 0
TRANSPARENT_GREY = 14  # bytes of its chunk; with fewer, Pillow calls the file damaged
CHANNELS = {GREY: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PIECE = 1 << 16  # bytes that are unpacked at a time
FILTERS = 8  # extra bytes allowed per row: it has one per pass, seven if it is interlaced
ESSENTIAL = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def read(data: bytes) -> Header:
    """Read a PNG's header; UndecodablePicture unless the file runs to its last chunk."""
    if data[12:16] != b"IHDR":
        raise damaged("PNG")
    width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
    turned, sees_through = 1, False
    for name, start, stop in _chunks(data):
        if name == b"tRNS":
            sees_through = True
        elif name == b"eXIf":
            turned = orientation(read_tags(data[start + 8 : stop - 4]))
    # Pillow stops at the last row, and needs less memory. But it would clip 16-bit grey instead of
    # scaling it down, and it does not support a transparent colour of 16 bits.
    by_pillow = depth < 16 or not (kind == GREY or sees_through)
    if not by_pillow:
        _bound_pixels(data, height * (width * CHANNELS.get(kind, 4) * 2 + FILTERS))
    memory = width * height * (PILLOW_PIXEL_BYTES if by_pillow else OPENCV_PIXEL_BYTES)
    return Header("PNG", width, height, memory, turned, by_pillow)


def _bound_pixels(data: bytes, most: int) -> None:
    """Raise UndecodablePicture if the pixels unpack to more than `most` bytes, as OpenCV would."""
    inflater = zlib.decompressobj()
    for piece in _pixels(data):
        packed = piece
        while packed and not inflater.eof:
            try:
                most -= len(inflater.decompress(packed, PIECE))
            except zlib.error:
                return  # left to the decoder, which reads no further either
            if most < 0:
                raise damaged("PNG")
            packed = inflater.unconsumed_tail


def _pixels(data: bytes) -> Iterator[bytes]:
    """Yield the content of the pixel chunks, in pieces."""
    for name, start, stop in _chunks(data):
        if name == b"IDAT":
            content = data[start + 8 : stop - 4]
            yield from (content[at : at + PIECE] for at in range(0, len(content), PIECE))


def without_extras(data: bytes) -> bytes:
    """Return only the still picture, without frames, profiles and texts to unpack or report."""
    kept = [
        _transparent(data[start:stop], *data[24:26]) if name == b"tRNS" else data[start:stop]
        for name, start, stop in _chunks(data)
        if name in ESSENTIAL
    ]
    return data[:8] + b"".join(kept)


def _transparent(chunk: bytes, depth: int, kind: int) -> bytes:
    """Return the transparent colour as Pillow needs it.

    Of grey with 2 or 4 bits, it scales the pixels to 8 bits, but not their transparent value.
    """
    if kind != GREY or depth not in (2, 4) or len(chunk) < TRANSPARENT_GREY:
        return chunk
    largest = (1 << depth) - 1
    content = b"tRNS" + bytes([0, (chunk[9] & largest) * 255 // largest])
    return struct.pack(">I", 2) + content + struct.pack(">I", zlib.crc32(content))


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name and the limits of every chunk up to IEND."""
    at = 8
    for _ in range(MAX_CHUNKS):
        length, name = struct.unpack_from(">I4s", data, at)
        stop = at + 12 + length
        if stop > len(data):  # OpenCV would trust the length and allocate up to 4 GB of memory
            break
        yield name, at, stop
        if name == b"IEND":
            return
        at = stop
    raise damaged("PNG")
