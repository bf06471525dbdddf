"""The box container of AVIF (ISO base media): what is needed to find a picture's items."""

import struct
from collections.abc import Iterator

MAX_BOXES = 1024
AV1_ITEM = b"av01"


class Reader:
    """Read big-endian whole numbers one after another; ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> int:
        """Return the next number of `size` bytes, 0 for a size of 0."""
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise ValueError("a table that ends too early")
        self._at += size
        return int.from_bytes(piece, "big")


def walk(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each box's kind and content; ValueError for a box that runs past the end."""
    at, count = 0, 0
    while at < len(data):
        count += 1
        size, kind = struct.unpack(">I4s", data[at : at + 8].ljust(8, b"\0"))
        header = 8
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        stop = at + size if size else len(data)
        if stop - at < header or stop > len(data) or count > MAX_BOXES:
            raise ValueError("boxes that do not fit into each other")
        yield kind, data[at + header : stop]
        at = stop


def find(data: bytes, name: bytes) -> bytes:
    """Return the content of the only box of this kind; ValueError for none or several."""
    found = [content for kind, content in walk(data) if kind == name]
    if len(found) != 1:
        raise ValueError(f"{len(found)} boxes where one belongs")
    return found[0]


def av1_items(item_infos: bytes) -> frozenset[int]:
    """Return the numbers of the AV1 pictures listed in the content of `iinf`."""
    skipped = 6 if item_infos[:1] == b"\0" else 8
    return frozenset(
        int.from_bytes(content[4 : 8 if content[0] == 3 else 6], "big")
        for kind, content in walk(item_infos[skipped:])
        if kind == b"infe" and AV1_ITEM in content[8:14]
    )


def item_extents(locations: bytes, wanted: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Yield offset and length of the wanted items from the content of `iloc`.

    ValueError for one that is not stored in the file in one piece.
    """
    table = Reader(locations)
    version = table.read(1)
    table.read(3)
    sizes, more = table.read(1), table.read(1)
    index_size = more & 15 if version else 0
    for _ in range(table.read(4 if version == 2 else 2)):
        item = table.read(4 if version == 2 else 2)
        method = table.read(2) & 15 if version else 0
        table.read(2)
        base, extents = table.read(more >> 4), table.read(2)
        if item not in wanted:
            table.read(extents * (index_size + (sizes >> 4) + (sizes & 15)))
            continue
        if method or extents != 1:
            raise ValueError("an item in pieces")
        table.read(index_size)
        yield base + table.read(sizes >> 4), table.read(sizes & 15)
