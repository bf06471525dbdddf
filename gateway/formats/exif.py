"""The tag tables of TIFF, which EXIF uses too; read without trusting a single offset."""

import struct
from collections.abc import Mapping

ORIENTATION = 0x0112
BYTE_ORDERS: Mapping[bytes, str] = {b"II*\0": "<", b"MM\0*": ">"}
# Every type that libtiff reads as a whole number: this reader must not miss what libtiff reads.
TYPE_CODES: Mapping[int, str] = {
    1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q",
}  # fmt: skip
MAX_VALUES = 16
Tags = dict[int, tuple[int, ...]]


def read_tags(data: bytes) -> Tags:
    """Return the tags of the first table, at most 16 values of each.

    A tag that is not a whole number or points outside `data` has no values. Without a TIFF header
    there are no tags.
    """
    order = BYTE_ORDERS.get(data[:4], "<")
    tags: Tags = {}
    for at in _entries(data):
        tag, code, length = struct.unpack_from(order + "HHI", data, at)
        tags.setdefault(tag, _values(data, order, at + 8, code, length))
    return tags


def without_orientation(data: bytes) -> bytes:
    """Return the TIFF with the orientation "upright": decoders follow others only in part."""
    order = BYTE_ORDERS.get(data[:4], "<")
    changed = bytearray(data)
    for at in _entries(data):
        if struct.unpack_from(order + "H", data, at) == (ORIENTATION,):
            struct.pack_into(order + "HHIHH", changed, at, ORIENTATION, 3, 1, 1, 0)
    return bytes(changed)


def orientation(tags: Tags) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 if it is missing or invalid."""
    value = next(iter(tags.get(ORIENTATION, ())), 1)
    return value if 1 <= value <= 8 else 1


def _entries(data: bytes) -> range:
    """Return where the entries of the first table begin."""
    order = BYTE_ORDERS.get(data[:4])
    if order is None or len(data) < 8:
        return range(0)
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return range(0)
    (count,) = struct.unpack_from(order + "H", data, start)
    entries = min(count, (len(data) - start - 2) // 12)
    return range(start + 2, start + 2 + 12 * entries, 12)


def _values(data: bytes, order: str, at: int, code: int, length: int) -> tuple[int, ...]:
    letter = TYPE_CODES.get(code)
    if letter is None:
        return ()
    if length * struct.calcsize("=" + letter) > 4:
        (at,) = struct.unpack_from(order + "I", data, at)
    form = f"{order}{min(length, MAX_VALUES)}{letter}"
    if at + struct.calcsize(form) > len(data):
        return ()
    return struct.unpack_from(form, data, at)
