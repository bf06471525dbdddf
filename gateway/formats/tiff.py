"""TIFF: the first page's size, and how much of it the decoder unpacks at a time."""

from gateway.formats.exif import orientation, read_tags
from gateway.formats.header import OPENCV_PIXEL_BYTES, PILLOW_PIXEL_BYTES, Header, damaged

WIDTH, HEIGHT, BITS, SAMPLES, ROWS = 256, 257, 258, 277, 278
TILE_WIDTH, TILE_HEIGHT, EXTRA_SAMPLES = 322, 323, 338
ALPHA_KINDS = (1, 2)


def read(data: bytes) -> Header:
    """Read the first page's header; a strip or tile is held unpacked beside the picture."""
    tags = read_tags(data)
    if WIDTH not in tags or HEIGHT not in tags:
        raise damaged("TIFF")
    width, height = tags[WIDTH][0], tags[HEIGHT][0]
    sample = max(tags.get(BITS, (1,)))
    pixel_bytes = max(4, tags.get(SAMPLES, (1,))[0] * -(-sample // 8))
    transparent = tags.get(EXTRA_SAMPLES, (0,))[0] in ALPHA_KINDS
    if TILE_WIDTH in tags or TILE_HEIGHT in tags:
        unit = tags.get(TILE_WIDTH, (0,))[0] * tags.get(TILE_HEIGHT, (0,))[0]
    else:
        unit = width * min(height, tags.get(ROWS, (height,))[0])
    if not unit:
        raise damaged("TIFF")
    pixels = width * height
    if transparent:
        memory = pixels * PILLOW_PIXEL_BYTES + unit * pixel_bytes
    else:  # OpenCV makes its second copy after the last strip
        memory = max(pixels * OPENCV_PIXEL_BYTES, pixels * 3 + unit * pixel_bytes)
    return Header("TIFF", width, height, memory, orientation(tags), transparent)
