"""TIFF: the first page's size, and how much of it the decoder unpacks at a time."""

from gateway.formats.exif import Tags, orientation, read_tags
from gateway.formats.header import OPENCV_PIXEL_BYTES, PILLOW_PIXEL_BYTES, Header, damaged

WIDTH, HEIGHT, BITS, COMPRESSION, SAMPLES, ROWS = 256, 257, 258, 259, 277, 278
TILE_WIDTH, TILE_HEIGHT, EXTRA_SAMPLES = 322, 323, 338
ALPHA_KINDS = (1, 2)
OLD_JPEG = 6  # withdrawn in 1995; its JPEG inside could have any size


def read(data: bytes) -> Header:
    """Read the first page's header; a strip or tile is held unpacked beside the picture."""
    tags = read_tags(data)
    width, height = _largest(tags, WIDTH, 0), _largest(tags, HEIGHT, 0)
    if TILE_WIDTH in tags or TILE_HEIGHT in tags:
        unit = _largest(tags, TILE_WIDTH, 0) * _largest(tags, TILE_HEIGHT, 0)
    else:
        unit = width * min(height, _largest(tags, ROWS, height))
    if not unit or _largest(tags, COMPRESSION, 1) == OLD_JPEG:
        raise damaged("TIFF")
    unit *= max(4, _largest(tags, SAMPLES, 1) * -(-_largest(tags, BITS, 1) // 8))
    pixels = width * height
    transparent = tags.get(EXTRA_SAMPLES, (0,))[:1] in [(kind,) for kind in ALPHA_KINDS]
    if transparent:
        memory = pixels * PILLOW_PIXEL_BYTES + unit
    else:  # OpenCV makes its second copy after the last strip
        memory = max(pixels * OPENCV_PIXEL_BYTES, pixels * 3 + unit)
    return Header("TIFF", width, height, memory, orientation(tags), transparent)


def _largest(tags: Tags, tag: int, default: int) -> int:
    """Return the tag's largest value, or the default; UndecodablePicture for a senseless one."""
    value = max(tags.get(tag, (default,)), default=-1)
    if value < 0:
        raise damaged("TIFF")
    return value
