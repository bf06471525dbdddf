"""TIFF: the first page's size, and how much of it the decoder unpacks at a time."""

from gateway.formats.exif import Tags, orientation, read_tags
from gateway.formats.header import (
    OPENCV_PIXEL_BYTES,
    PILLOW_PIXEL_BYTES,
    Header,
    damaged,
    unsupported,
)

WIDTH, HEIGHT, BITS, COMPRESSION, SAMPLES, ROWS = 256, 257, 258, 259, 277, 278
TILE_WIDTH, TILE_HEIGHT, EXTRA_SAMPLES, SAMPLE_FORMAT = 322, 323, 338, 339
PHOTOMETRIC, PLANAR = 262, 284
PALETTE, CMYK, UNSIGNED, UNDEFINED = 3, 5, 1, 4
PREMULTIPLIED, STRAIGHT = 1, 2
# None, fax (2 to 4), LZW, JPEG, Deflate (8, 32946) and PackBits. The older kind of JPEG (6) was
# withdrawn in 1995; what it holds could have any size.
COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32946, 32773})


def read(data: bytes) -> Header:
    """Read the first page's header; memory holds an unpacked strip or tile beside the picture."""
    tags = read_tags(data)
    width, height = _largest(tags, WIDTH, 0), _largest(tags, HEIGHT, 0)
    pixels = unpacked = width * height
    if TILE_WIDTH in tags or TILE_HEIGHT in tags:
        tile = _largest(tags, TILE_WIDTH, 0), _largest(tags, TILE_HEIGHT, 0)
        unit = tile[0] * tile[1]
        # Tiles are unpacked whole: thousands of huge ones may stand for a narrow picture.
        unpacked = unit and _count(width, tile[0]) * _count(height, tile[1]) * unit
    else:
        unit = width * min(height, _largest(tags, ROWS, height))
    if not unit:
        raise damaged("TIFF")
    unit *= max(4, _largest(tags, SAMPLES, 1) * -(-_largest(tags, BITS, 1) // 8))
    if _largest(tags, COMPRESSION, 1) not in COMPRESSIONS:
        raise unsupported("TIFF", "it uncompressed, or with LZW or Deflate")
    if _is_strange(tags):
        raise unsupported("TIFF", "it with 8 or 16 bits, grey or RGB")
    by_pillow = _is_flattened(tags)
    if not by_pillow and _is_skewed(tags):
        raise unsupported("TIFF", "it in strips, not in tiles")
    if by_pillow:
        memory = pixels * PILLOW_PIXEL_BYTES + unit
    else:  # OpenCV makes its second copy after the last strip
        memory = max(pixels * OPENCV_PIXEL_BYTES, pixels * 3 + unit)
    # What lies beside the picture is not kept, but unpacking it takes time.
    memory = max(memory, unpacked * 3)
    return Header("TIFF", width, height, memory, orientation(tags), by_pillow)


def _is_strange(tags: Tags) -> bool:
    """Tell whether no decoder here reads it reliably: floats, rare depths, many channels."""
    bits, samples = _largest(tags, BITS, 1), _largest(tags, SAMPLES, 1)
    kind = _largest(tags, PHOTOMETRIC, 0)
    if _largest(tags, SAMPLE_FORMAT, UNSIGNED) not in (UNSIGNED, UNDEFINED):
        return True
    if bits not in (1, 8, 16) and (kind, bits) != (PALETTE, 4):
        return True
    if samples > 4 and (bits > 8 or not _is_flattened(tags)):
        return True
    return kind == CMYK and (bits > 8 or samples > 4)


def _is_skewed(tags: Tags) -> bool:
    """Tell whether OpenCV would shift its rows: deep or two-channel grey in tiles that overhang.

    It copies such a tile's rows as if they all lay within the picture.
    """
    bits, samples = _largest(tags, BITS, 1), _largest(tags, SAMPLES, 1)
    interleaved = samples == 1 or _largest(tags, PLANAR, 1) == 1
    if not interleaved or (bits, samples) not in ((16, 1), (8, 2), (16, 2)):
        return False
    width, tile = _largest(tags, WIDTH, 0), _largest(tags, TILE_WIDTH, 0)
    return bool(tile) and width % tile > 0


def _is_flattened(tags: Tags) -> bool:
    """Tell whether Pillow lays it on white: transparent, in a layout that Pillow reads correctly.

    OpenCV reads the others and ignores their alpha: most such files are opaque.
    """
    kind, bits = tags.get(EXTRA_SAMPLES, (0,))[:1], _largest(tags, BITS, 1)
    samples, planes = _largest(tags, SAMPLES, 1), _largest(tags, PLANAR, 1)
    if kind not in ((PREMULTIPLIED,), (STRAIGHT,)):
        return False
    if planes == 1 and samples >= 4:
        return True
    return bits == 8 and kind == (STRAIGHT,) and (planes, samples) in ((1, 2), (2, 4))


def _count(length: int, tile: int) -> int:
    """Return how many tiles it takes to cover a length."""
    return -(-length // tile)


def _largest(tags: Tags, tag: int, default: int) -> int:
    """Return the tag's largest value, or the default; UndecodablePicture for an invalid one."""
    value = max(tags.get(tag, (default,)), default=-1)
    if value < 0:
        raise damaged("TIFF")
    return value
