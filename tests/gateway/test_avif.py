"""AVIF's boxes and streams, put together by hand so that they can lie."""

import struct

import pytest

from gateway.errors import UndecodablePicture
from gateway.formats import read_header
from gateway.formats.av1 import largest_frame


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def sequence_header(bits: str) -> bytes:
    """Return an AV1 unit with these bits; "_" only groups them."""
    bits = bits.replace("_", "")
    payload = int(bits.ljust(128, "0"), 2).to_bytes(16, "big")
    return bytes([0x0A, len(payload)]) + payload


# Profile, still, reduced, level, bits of width and height less one, width and height less one.
REDUCED = sequence_header(f"000_1_1_00000_1111_1111_{999:016b}_{499:016b}")
# Not reduced: no timing, no delays, one operating point of level 8 with its tier.
FULL = sequence_header(f"000_0_0_0_0_00000_{0:012b}_01000_0_1001_1000_{999:010b}_{499:09b}")
# The same with a delay, and the highest level that has no tier.
DELAYED = sequence_header(f"000_0_0_0_1_00000_{0:012b}_00111_1_0101_1001_1000_{999:010b}_{499:09b}")


def avif(
    stream: bytes, items: int = 1, extents: int = 1, deep: bool = False, method: int = 0
) -> bytes:
    """Return an AVIF file of 64 x 48 pixels whose items all lie in this stream."""
    start = box(b"ftyp", b"avif\0\0\0\0avifmif1") + box(b"mdat", stream)
    at = len(start) - len(stream)
    entries = [struct.pack(">IHH4s", 2 << 24, n + 1, 0, b"av01") for n in range(items)]
    infos = b"\0\0\0\0" + struct.pack(">H", items + 1) + b"".join(box(b"infe", e) for e in entries)
    extent = struct.pack(">II", at, len(stream))
    # A grid is no AV1 picture: its few bytes are elsewhere, and in pieces.
    grid = struct.pack(">IHH4s", 2 << 24, 999, 0, b"grid")
    infos += box(b"infe", grid)
    locations = struct.pack(">HHHH", 999, 1, 0, 2) + bytes(16)
    locations += b"".join(
        struct.pack(">HHHH", n + 1, method, 0, extents) + extent * extents for n in range(items)
    )
    properties = box(b"ispe", struct.pack(">III", 0, 64, 48))
    properties += box(b"av1C", bytes([0x81, 0, 0x40 if deep else 0, 0]))
    meta = box(b"iinf", infos)
    meta += box(b"iloc", b"\1\0\0\0\x44\0" + struct.pack(">H", items + 1) + locations)
    meta += box(b"iprp", box(b"ipco", properties))
    return start + box(b"meta", b"\0\0\0\0" + meta)


def test_the_stream_is_believed_not_the_box() -> None:
    header = read_header(avif(REDUCED))
    assert (header.width, header.height) == (1000, 500)


@pytest.mark.parametrize("stream", [FULL, DELAYED], ids=["a tier", "a delay"])
def test_without_the_reduced_header_frames_may_fill_the_size_field(stream: bytes) -> None:
    header = read_header(avif(stream))
    assert (header.width, header.height) == (1024, 512)


def test_avif_may_be_the_second_of_a_files_brands() -> None:
    data = avif(REDUCED).replace(b"avif\0\0\0\0avifmif1", b"mif1\0\0\0\0mif1avif")
    assert read_header(data).width == 1000


def test_a_box_may_have_a_longer_length_or_none() -> None:
    data = avif(REDUCED)
    longer = struct.pack(">I4sQ", 1, b"free", 16 + 4) + bytes(4)
    endless = struct.pack(">I4s", 0, b"free") + bytes(4)
    assert read_header(data + longer + endless) == read_header(data)
    with pytest.raises(UndecodablePicture):
        read_header(data + struct.pack(">II4s", 4, 8, b"free"))  # which begins within another


def test_the_largest_of_several_sequence_headers_counts() -> None:
    temporal_delimiter = bytes([0x12, 0])
    small = sequence_header(f"000_1_1_00000_1111_1111_{9:016b}_{599:016b}")
    stream = temporal_delimiter + small + REDUCED
    assert largest_frame(memoryview(stream)) == (1000, 600)


def test_a_stream_without_sequence_header_announces_nothing() -> None:
    assert largest_frame(memoryview(bytes([0x12, 0]))) == (0, 0)


def test_ten_bits_take_more_memory_than_eight() -> None:
    assert read_header(avif(REDUCED)).memory == 1000 * 500 * 12
    assert read_header(avif(REDUCED, deep=True)).memory == 1000 * 500 * 16


def test_up_to_256_items_are_accepted() -> None:
    assert read_header(avif(REDUCED, items=256)).width == 1000
    with pytest.raises(UndecodablePicture):
        read_header(avif(REDUCED, items=257))


@pytest.mark.parametrize("unit", [b"\x32\1\0", b"\x1a\1\0"], ids=["frame", "its header"])
def test_an_item_may_hold_a_frame_for_each_layer_but_no_film(unit: bytes) -> None:
    assert read_header(avif(REDUCED + unit * 4)).width == 1000
    with pytest.raises(UndecodablePicture):
        read_header(avif(REDUCED + unit * 20))


@pytest.mark.parametrize(
    "data",
    [
        avif(REDUCED, extents=2),
        avif(REDUCED, extents=0),
        avif(b""),
        avif(REDUCED) + box(b"meta", b"\0\0\0\0"),
        avif(REDUCED)[:-1],
        avif(REDUCED + b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        avif(sequence_header("000_0_0_1")),
        avif(bytes([0x12, 0]) * 2000),
        avif(REDUCED, method=1),
        avif(REDUCED) + box(b"free", b"") * 2000,
    ],
    ids=[
        "item in pieces",
        "item of no pieces",
        "empty item",
        "second meta box",
        "cut off",
        "endless length",
        "timing",
        "thousands of units",
        "item in another place",
        "thousands of boxes",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodablePicture, match="This AVIF file is damaged or incomplete"):
        read_header(data)
