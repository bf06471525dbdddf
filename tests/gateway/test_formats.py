"""What is read from a picture's header, and what is refused before any decoder sees it."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gateway.errors import NotAPicture, UndecodablePicture
from gateway.formats import ACCEPTED, jpeg, read_header
from gateway.formats.exif import ORIENTATION, read_tags, without_orientation
from gateway.image import Limits, to_tensor
from tests.photos import DATA
from tests.pictures import CONTRACT, encode, exif, scene
from tests.places import HOME

ODD = DATA / "odd_images"
KINDS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
MAGIC = {"<": b"II*\0", ">": b"MM\0*"}


@pytest.mark.parametrize("kind", KINDS)
def test_format_and_size_stand_in_the_header(kind: str) -> None:
    header = read_header(encode(scene(61, 37), kind))
    assert (header.format.upper(), header.width, header.height) == (kind, 61, 37)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (encode(scene(61, 37), "JPEG", progressive=True), (61, 37)),
        (encode(scene(61, 37), "WEBP", lossless=True), (61, 37)),
        (encode(scene(61, 37), "WEBP", exif=exif(6)), (61, 37)),
        (encode(scene(61, 37), "TIFF", big_tiff=False, compression="jpeg"), (61, 37)),
        (b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 61, 37, 1, 24), (61, 37)),
        (b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 61, -37, 1, 24, 0), (61, 37)),
    ],
    ids=["progressive", "lossless", "extended", "jpeg in tiff", "os/2", "rows downwards"],
)
def test_size_is_read_from_rarer_layouts(data: bytes, size: tuple[int, int]) -> None:
    header = read_header(data)
    assert (header.width, header.height) == size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read(kind: str, orientation: int) -> None:
    header = read_header(encode(scene(40, 30), kind, exif=exif(orientation)))
    assert header.orientation == orientation


@pytest.mark.parametrize("orientation", [0, 9])
def test_a_senseless_orientation_means_upright(orientation: int) -> None:
    assert read_header(encode(scene(40, 30), "JPEG", exif=exif(orientation))).orientation == 1


def test_the_orientation_of_a_webp_may_stand_behind_anything() -> None:
    data = encode(scene(40, 30), "WEBP", exif=exif(6))
    at = data.index(b"EXIF")
    odd = struct.pack("<4sI", b"ODD!", 3) + bytes(3 + 1)  # a chunk is padded to an even length
    content = b"Exif\0\0" + data[at + 8 :].removeprefix(b"Exif\0\0")
    last = struct.pack("<4sI", b"EXIF", len(content)) + content
    assert read_header(data[:at] + odd + last).orientation == 6


def test_a_webp_of_an_unknown_kind_is_refused() -> None:
    data = encode(scene(40, 30), "WEBP")
    with pytest.raises(UndecodablePicture):
        read_header(data[:12] + b"VP9 " + data[16:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        b"not an image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"PK\3\4" + bytes(40),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        b"II+\0" + bytes(40),
    ],
    ids=["empty", "zeros", "text", "svg", "pdf", "zip", "heic", "wave", "bigtiff"],
)
def test_anything_else_is_not_a_picture(data: bytes) -> None:
    with pytest.raises(NotAPicture, match="send a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF picture"):
        read_header(data)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\0\0\0\x24ftypheic\0\0\0\0mif1heic", "HEIC, the format of iPhone photos"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"MM\0+\0\x08\0\0", "BigTIFF, for files of gigabytes"),
        (b"%PDF-1.7\n", "a PDF"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="1">', "SVG"),
        (b"\n<!DOCTYPE HTML>\n<title>404", "a web page"),
        (b"/9j/4AAQSkZJRgABAQAAAQ", "base64, not the picture's own bytes"),
        (b"data:image/webp;base64,UklGRiQ", "base64, not the picture's own bytes"),
    ],
    ids=["heic", "jxl", "bigtiff", "pdf", "svg", "html", "base64", "data URI"],
)
def test_what_people_take_for_a_picture_is_named(data: bytes, named: str) -> None:
    with pytest.raises(NotAPicture, match=f"This is {named}; send a JPEG"):
        read_header(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_cut_short_anywhere_is_refused_or_read(kind: str) -> None:
    data = encode(scene(61, 37), kind)
    whole = read_header(data)
    for length in range(1, min(len(data), 400)):
        try:
            header = read_header(data[:length])
        except (NotAPicture, UndecodablePicture):
            continue
        assert (header.width, header.height) == (whole.width, whole.height)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_without_its_end_is_refused(kind: str) -> None:
    data = encode(scene(61, 37), kind)
    read_header(data)
    with pytest.raises(UndecodablePicture, match=f"This {kind} file is damaged or incomplete"):
        read_header(data[:-20])


def test_a_jpeg_without_a_frame_or_a_scan_is_refused() -> None:
    data = encode(scene(61, 37), "JPEG")
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    after_frame = frame + 2 + int.from_bytes(data[frame + 2 : frame + 4], "big")
    end = b"\xff\xd9"
    for broken in (data[:frame] + data[after_frame:], data[:scan] + end, data[:2] + end):
        with pytest.raises(UndecodablePicture):
            read_header(broken)


def test_of_two_orientations_of_a_jpeg_the_first_counts() -> None:
    first = encode(scene(40, 30), "JPEG", exif=exif(6))
    second = encode(scene(40, 30), "JPEG", exif=exif(3))
    assert read_header(first[: first.index(b"\xff\xdb")] + second[2:]).orientation == 6


def test_bytes_after_the_end_of_a_jpeg_do_not_matter() -> None:
    assert read_header(encode(scene(61, 37), "JPEG") + b"appended by a camera").width == 61


@pytest.mark.parametrize(("place", "value"), [(1, 0xC3), (4, 12)], ids=["lossless", "12 bits"])
def test_a_jpeg_that_no_decoder_reads_is_not_called_damaged(place: int, value: int) -> None:
    data = bytearray(encode(scene(61, 37), "JPEG"))
    data[data.index(b"\xff\xc0") + place] = value
    with pytest.raises(UndecodablePicture, match="This kind of JPEG is not accepted; send an"):
        read_header(bytes(data))


def test_hundreds_of_scans_are_refused() -> None:
    data = (ODD / "progressive.jpg").read_bytes()
    start = data.rindex(b"\xff\xda")
    last_scan = data[start:-2]
    read_header(data[:-2] + last_scan * 10 + data[-2:])
    with pytest.raises(UndecodablePicture):
        read_header(data[:-2] + last_scan * 100 + data[-2:])


def test_a_film_behind_a_photograph_does_not_matter() -> None:
    film = bytes(range(256)) * 100 + b"\xff\xda\0\2" * 200 + b"\xff\xd9"
    data = (ODD / "progressive.jpg").read_bytes()
    assert read_header(data + film) == read_header(data)


def test_what_looks_like_a_marker_in_the_head_of_a_scan_is_none() -> None:
    data = bytearray((ODD / "progressive.jpg").read_bytes())
    scan = data.index(b"\xff\xda")
    data[scan + 5 : scan + 7] = b"\xff\x11"  # a component of this number, with these tables
    read_header(bytes(data))


def test_scans_hidden_behind_a_false_end_count() -> None:
    data = (ODD / "progressive.jpg").read_bytes()
    start = data.rindex(b"\xff\xda")
    last_scan, end = data[start:-2], data[-2:]
    comment = b"\xff\xfe\0\4" + end
    with pytest.raises(UndecodablePicture):
        read_header(data[:start] + comment + last_scan * 100 + end)


@pytest.mark.parametrize("place", ["before the frame", "between scans"])
def test_thousands_of_empty_jpeg_segments_are_refused(place: str) -> None:
    data = (ODD / "progressive.jpg").read_bytes()
    at = 2 if place == "before the frame" else data.rindex(b"\xff\xda")
    empty = b"\xff\xfe\0\2"
    read_header(data[:at] + empty * 1000 + data[at:])
    with pytest.raises(UndecodablePicture):
        read_header(data[:at] + empty * 5000 + data[at:])


def test_millions_of_restart_markers_are_passed_over_quickly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one search, not one by one."""
    searched: list[int] = []
    marker = jpeg.MARKER

    class Counting:
        def search(self, data: bytes, at: int) -> re.Match[bytes] | None:
            searched.append(at)
            return marker.search(data, at)

    monkeypatch.setattr(jpeg, "MARKER", Counting())
    with pytest.raises(UndecodablePicture):
        read_header(b"\xff\xd8" + b"\xff\xd0\xff\x00\xff\xff" * 1_000_000)
    assert searched == [2]


@pytest.mark.parametrize(
    "tags",
    [
        *({258: 32}, {258: 32, 339: 3}, {258: 16, 339: 3}, {258: 16, 262: 5, 277: 4}),
        *({258: 8, 262: 5, 277: 5}, {259: 6}, {259: 34712}),
        *({258: 12}, {258: 4}, {258: 2, 262: 3}),
        *({258: 8, 277: 5}, {258: 16, 277: 5, 338: 2}),
        *({258: 8, 277: 2, 322: 48, 323: 48}, {258: 16, 277: 1, 322: 48, 323: 48}),
    ],
    ids=[
        *("32 bits", "floating point", "half precision", "deep CMYK"),
        *("CMYK with more", "old JPEG", "JPEG 2000"),
        *("12 bits", "4 bits", "4 colours"),
        *("five channels", "five deep channels"),
        *("grey with more in tiles", "deep grey in tiles"),
    ],
)
def test_a_tiff_that_no_decoder_reads_right_is_not_called_damaged(tags: dict[int, int]) -> None:
    with pytest.raises(UndecodablePicture, match="This kind of TIFF is not accepted"):
        read_header(tiff({256: 64, 257: 48} | tags))


def test_a_tiff_may_have_a_channel_behind_its_alpha() -> None:
    tags = {256: 64, 257: 48, 258: 8, 262: 2, 277: 5, 338: 2}
    assert read_header(tiff(tags)).by_pillow


def test_thousands_of_tiny_png_chunks_are_refused() -> None:
    data = (ODD / "one_pixel.png").read_bytes()
    text = struct.pack(">I4sI", 0, b"tEXt", 0)
    assert read_header(data[:33] + text * 1000 + data[33:]).width == 1
    with pytest.raises(UndecodablePicture):
        read_header(data[:33] + text * 30_000 + data[33:])


def test_a_png_begins_with_its_header() -> None:
    data = (ODD / "one_pixel.png").read_bytes()
    text = struct.pack(">I4s", 12, b"tEXt") + bytes(16)
    with pytest.raises(UndecodablePicture):
        read_header(data[:8] + text + data[8:])


def test_thousands_of_tiny_gif_comments_are_refused() -> None:
    data = encode(Image.new("P", (9, 9)), "GIF")
    image = data.index(b"\x2c\0\0\0\0")
    comment = b"\x21\xfe" + b"\1x" * 5000 + b"\0"
    read_header(data[:image] + comment[:200] + b"\0" + data[image:])
    with pytest.raises(UndecodablePicture):
        read_header(data[:image] + comment + data[image:])


def test_thousands_of_empty_gif_extensions_are_refused() -> None:
    data = encode(Image.new("P", (9, 9)), "GIF")
    image = data.index(b"\x2c\0\0\0\0")
    read_header(data[:image] + b"\x21\xfe\0" * 100 + data[image:])
    with pytest.raises(UndecodablePicture):
        read_header(data[:image] + b"\x21\xfe\0" * 5000 + data[image:])


def test_a_gif_may_have_the_colours_of_its_frame_alone() -> None:
    data = encode(scene(61, 37), "GIF")
    image = data.index(b"\x2c\0\0\0\0")
    size = data[10] & 7
    palette = data[13 : 13 + (3 << size + 1)]
    head = data[:10] + bytes([data[10] & 0x7F]) + data[11:13] + data[13 + len(palette) : image]
    frame = data[image : image + 9] + bytes([0x80 | size | data[image + 9]]) + palette
    moved = head + frame + data[image + 10 :]
    assert np.array_equal(to_tensor(moved, CONTRACT), to_tensor(data, CONTRACT))


def test_a_gif_frame_larger_than_its_canvas_counts() -> None:
    data = bytearray(encode(Image.new("P", (9, 9)), "GIF"))
    image = data.index(b"\x2c\0\0\0\0")
    data[image + 5 : image + 9] = struct.pack("<HH", 900, 700)
    header = read_header(bytes(data))
    assert (header.width, header.height) == (900, 700)


def test_a_tiff_strip_or_tile_counts_however_small_the_picture() -> None:
    small = read_header(encode(scene(64, 48), "TIFF")).memory
    lie = read_header(tiff({256: 64, 257: 48, 322: 65_536, 323: 65_536}))
    assert small < 1_000_000 < 65_536**2 < lie.memory


def test_every_tile_of_a_tiff_counts_as_a_whole() -> None:
    tiles = {258: 8, 277: 3, 322: 1_500_000, 323: 16}
    one = read_header(tiff({256: 16, 257: 16} | tiles)).memory
    assert one < Limits().max_memory < read_header(tiff({256: 16, 257: 49} | tiles)).memory


@pytest.mark.parametrize("tile", [256, 512, 1024, 2048])
def test_a_photo_may_end_within_a_tile_of_a_tiff(tile: int) -> None:
    photo = {256: 6960, 257: 4640, 258: 8, 277: 3}
    tiles = read_header(tiff(photo | {322: tile, 323: tile}))
    assert tiles.memory == read_header(tiff(photo | {278: 1})).memory <= Limits().max_memory


@pytest.mark.parametrize(
    ("tags", "memory"),
    [
        ({258: 8, 277: 3, 278: 10}, 500_000 * 6),
        ({258: 8, 277: 1}, 500_000 * 3 + 1000 * 500 * 4),
        ({258: 16, 277: 3, 278: 400}, 500_000 * 3 + 1000 * 400 * 6),
        ({258: 16, 277: 3, 278: 2**32 - 1}, 500_000 * 3 + 1000 * 500 * 6),
        ({258: 8, 277: 4, 338: 2, 278: 400}, 500_000 * 4 + 1000 * 400 * 4),
        ({258: 8, 277: 4, 262: 5, 278: 10}, 500_000 * 6),
    ],
    ids=["short strips", "grey", "deep", "one strip", "transparent", "CMYK"],
)
def test_a_tiff_takes_its_picture_and_one_strip(tags: dict[int, int], memory: int) -> None:
    assert read_header(tiff({256: 1000, 257: 500} | tags)).memory == memory


@pytest.mark.parametrize(
    "tags",
    [{257: 48}, {256: 64}, {256: 64, 257: 48, 322: 16}, {256: 64, 257: 48, 323: 16}],
    ids=["no width", "no height", "half a tile", "the other half"],
)
def test_a_contradictory_tiff_is_refused(tags: dict[int, int]) -> None:
    with pytest.raises(UndecodablePicture):
        read_header(tiff(tags))


def test_an_avif_box_cannot_hide_a_large_stream() -> None:
    data = encode(Image.new("RGB", (2000, 1000)), "AVIF", quality=1, speed=10)
    true = struct.pack(">II", 2000, 1000)
    assert true in data
    header = read_header(data.replace(true, struct.pack(">II", 64, 64)))
    assert (header.width, header.height) == (2000, 1000)


def test_an_avif_box_cannot_announce_less_than_its_stream_needs() -> None:
    header = read_header(encode(scene(61, 37), "AVIF"))
    assert header.memory >= 61 * 37 * 12


def test_animated_avif_is_refused_in_so_many_words() -> None:
    frames = [scene(64, 48), scene(64, 48).rotate(90)]
    data = encode(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    with pytest.raises(UndecodablePicture, match="Animated AVIF is not accepted"):
        read_header(data)


def test_animated_webp_is_counted_with_its_canvases() -> None:
    frames = [scene(64, 48), scene(64, 48).rotate(90)]
    still = read_header(encode(frames[0], "WEBP"))
    animated = read_header(encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    assert (still.memory, animated.memory) == (64 * 48 * 7, 64 * 48 * 16)


def test_full_size_coefficients_of_a_progressive_jpeg_count() -> None:
    baseline = read_header(encode(scene(640, 480), "JPEG", subsampling=0))
    progressive = read_header(encode(scene(640, 480), "JPEG", subsampling=0, progressive=True))
    assert (baseline.memory, progressive.memory) == (0, 640 * 480 * 3 * 2)


@pytest.mark.parametrize(
    ("subsampling", "units", "blocks"),
    [("4:2:2", 41 * 61, 4), ("4:2:0", 41 * 31, 6)],
)
def test_whole_units_of_a_subsampled_jpeg_count(subsampling: str, units: int, blocks: int) -> None:
    data = encode(scene(641, 481), "JPEG", subsampling=subsampling, progressive=True)
    assert read_header(data).memory == units * blocks * 64 * 2


@pytest.mark.parametrize("place", [5, 7], ids=["height", "width"])
def test_a_jpeg_without_a_side_is_refused(place: int) -> None:
    data = bytearray(encode(scene(61, 37), "JPEG"))
    side = data.index(b"\xff\xc0") + place
    data[side : side + 2] = bytes(2)
    with pytest.raises(UndecodablePicture):
        read_header(bytes(data))


def test_a_bmp_of_negative_width_is_refused() -> None:
    with pytest.raises(UndecodablePicture):
        read_header(b"BM" + bytes(12) + struct.pack("<IiiHH", 40, -61, 37, 1, 24))


@pytest.mark.parametrize("factors", [0x00, 0x01, 0x10])
def test_a_jpeg_whose_components_have_no_blocks_is_refused(factors: int) -> None:
    data = bytearray(encode(scene(61, 37), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 11 : frame + 20 : 3] = bytes([factors] * 3)
    with pytest.raises(UndecodablePicture):
        read_header(bytes(data))


def tiff(tags: dict[int, int]) -> bytes:
    """Return the header and table of a TIFF whose tags are 32-bit numbers."""
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4)


def png(depth: int, kind: int, extra: int) -> bytes:
    """Return a PNG of 10 x 10 pixels with this many extra bytes after its last row."""
    row = 1 + 10 * (3 if kind == 2 else 1) * depth // 8
    packed = zlib.compress(bytes(10 * row) + bytes(extra))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 10, 10, depth, kind, 0, 0, 0)), (b"IDAT", packed)]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [*parts, (b"IEND", b"")]
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_what_a_png_hides_behind_its_last_row_is_not_unpacked() -> None:
    assert read_header(png(16, 0, 0)).width == 10
    with pytest.raises(UndecodablePicture):
        read_header(png(16, 0, 1_000_000))
    assert read_header(png(8, 2, 1_000_000)).by_pillow  # which stops by itself
    broken = png(16, 0, 0).replace(b"IDAT\x78", b"IDAT\xff")
    assert read_header(broken).width == 10  # left to the decoder


def test_scans_count_by_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("RGB", (100, 100)).save(file, "JPEG", progressive=True)
    assert read_header(file.getvalue()).width == 100
    monkeypatch.setattr("gateway.formats.jpeg.SCANNED_PIXELS", 5 * 100 * 100)
    with pytest.raises(UndecodablePicture):
        read_header(file.getvalue())


def test_of_a_tag_that_stands_twice_the_first_counts_as_for_libtiff() -> None:
    entries = b"".join(struct.pack("<HHII", 256, 4, 1, width) for width in (100_000, 1))
    assert read_tags(b"II*\0" + struct.pack("<IH", 8, 2) + entries) == {256: (100_000,)}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("code", "letter"),
    [(1, "B"), (3, "H"), (4, "I"), (6, "b"), (8, "h"), (9, "i"), (13, "I"), (16, "Q"), (17, "q")],
)
def test_a_tag_may_have_any_type_of_whole_numbers(order: str, code: int, letter: str) -> None:
    values = struct.pack(f"{order}2{letter}", 7, 100)
    field = values.ljust(4, b"\0") if len(values) <= 4 else struct.pack(f"{order}I", 22)
    data = MAGIC[order] + struct.pack(f"{order}IHHHI", 8, 1, 256, code, 2) + field + values
    assert read_tags(data) == {256: (7, 100)}
    assert len(values) <= 4 or read_tags(data[:-1]) == {256: ()}


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_is_told_to_be_upright_in_its_own_byte_order(order: str) -> None:
    data = MAGIC[order] + struct.pack(f"{order}IHHHIHH", 8, 1, ORIENTATION, 3, 1, 6, 0)
    assert read_tags(data) == {ORIENTATION: (6,)}
    assert read_tags(without_orientation(data)) == {ORIENTATION: (1,)}


def test_a_jpeg_that_is_not_progressive_may_have_several_scans_too() -> None:
    once = encode(scene(640, 480), "JPEG")
    head = once.index(b"\xff\xda") + 4
    several = once[:head] + b"\1" + once[head + 1 :]  # the first scan has one component of three
    progressive = encode(scene(640, 480), "JPEG", progressive=True)
    assert read_header(once).memory == 0
    assert read_header(several).memory == read_header(progressive).memory > 0


@pytest.mark.parametrize(
    "place", ["frontend/index.html", "gateway/openapi.json", "examples/README.md"]
)
def test_every_accepted_format_is_announced(place: str) -> None:
    formats = set(re.findall(r"[A-Z]\w*[A-Z]\w*", ACCEPTED))
    assert len(formats) == len(KINDS)
    lists = re.findall(r"(?:\w+, )+\w+(?: or \w+)?", (HOME / place).read_text())
    announced = [set(re.findall(r"\w+", each)) for each in lists if "TIFF" in each]
    assert announced
    assert all(formats <= each for each in announced)
