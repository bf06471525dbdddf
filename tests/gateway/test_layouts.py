"""Where the channels of a BMP or a TIFF lie."""

import struct

import numpy as np
import pytest

from gateway.errors import UndecodablePicture
from gateway.image import to_tensor
from tests.pictures import CONTRACT, encode, scene

RGB32, BGR32 = (0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000)
RGB15, RGB16, BGR15 = (0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F), (0x1F, 0x3E0, 0x7C00)


def bitmap(masks: tuple[int, int, int], header: int = 40, bits: int = 32) -> bytes:
    """Return a BMP whose channels lie where the masks say."""
    pixels = np.asarray(scene(64, 48))[::-1].astype(np.uint32)
    packed = np.zeros((48, 64), np.uint32)
    for channel, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        packed |= pixels[..., channel] >> (8 - mask.bit_count()) << shift
    start = 14 + max(header, 40 + 12)
    head = struct.pack("<IiiHHIIiiII", header, 64, 48, 1, bits, 3, 0, 0, 0, 0, 0)
    head = (head + struct.pack("<3I", *masks)).ljust(start - 14, b"\0")
    body = head + packed.astype(f"<u{bits // 8}").tobytes()
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, start) + body


def test_a_bmp_is_read_by_its_masks_or_refused() -> None:
    expected = to_tensor(encode(scene(64, 48), "PNG"), CONTRACT)
    for data in (bitmap(RGB32), bitmap(RGB32, 52), bitmap(RGB32, 108), bitmap(BGR32, 108)):
        assert np.array_equal(to_tensor(data, CONTRACT), expected)
    for refused in (bitmap(BGR32), bitmap(BGR32, 52), bitmap(BGR15, bits=16)):
        with pytest.raises(UndecodablePicture, match="This kind of BMP is not accepted"):
            to_tensor(refused, CONTRACT)


@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
@pytest.mark.parametrize("masks", [RGB15, RGB16])
def test_a_bmp_of_16_bits_is_read_whatever_its_header(
    masks: tuple[int, int, int], header: int
) -> None:
    expected = to_tensor(encode(scene(64, 48), "PNG"), CONTRACT).astype(int)
    found = to_tensor(bitmap(masks, header, bits=16), CONTRACT)
    assert np.abs(found - expected).max() <= 8


def test_a_bmp_of_2_bits_is_not_called_damaged() -> None:
    data = bytearray(encode(scene(64, 48).quantize(4), "BMP"))
    data[28] = 2
    with pytest.raises(UndecodablePicture, match="This kind of BMP is not accepted"):
        to_tensor(bytes(data), CONTRACT)


def tiff_with_alpha(samples: int, bits: int, planes: int, kind: int) -> bytes:
    """Return an opaque TIFF: grey or RGB, alpha behind it, interleaved or plane by plane."""
    pixels = np.asarray(scene(64, 48).convert("L" if samples == 2 else "RGB")).reshape(48, 64, -1)
    pixels = np.dstack([pixels, np.full((48, 64), 255, np.uint8)])
    stored = pixels.astype("<u2") * 257 if bits == 16 else pixels
    stored = stored if planes == 1 else np.moveaxis(stored, -1, 0)
    strips = 1 if planes == 1 else samples
    size = stored.nbytes // strips
    data = 8 + 2 + 12 * 12 + 4
    lists = {258: [bits] * samples, 273: [0] * strips, 279: [size] * strips}
    room = data + sum(8 * 4 for _ in lists)
    lists[273] = [room + strip * size for strip in range(strips)]
    plain = {256: 64, 257: 48, 259: 1, 262: 1 if samples == 2 else 2, 274: 1, 277: samples}
    plain |= {278: 48, 284: planes, 338: kind}
    table, extra = b"", b""
    for tag in sorted(plain | lists):
        values = lists.get(tag) or [plain[tag]]
        if len(values) == 1:
            table += struct.pack("<HHII", tag, 4, 1, values[0])
        else:
            table += struct.pack("<HHII", tag, 4, len(values), data + len(extra))
            extra += struct.pack(f"<{len(values)}I", *values).ljust(32, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(plain | lists)) + table + bytes(4)
    return (head + extra).ljust(room, b"\0") + stored.tobytes()


@pytest.mark.parametrize("kind", [1, 2], ids=["premultiplied", "straight"])
@pytest.mark.parametrize("planes", [1, 2], ids=["interleaved", "planes"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("samples", [2, 4], ids=["grey", "RGB"])
def test_a_tiff_with_alpha_keeps_its_colours(
    samples: int, bits: int, planes: int, kind: int
) -> None:
    upright = scene(64, 48).convert("L" if samples == 2 else "RGB")
    expected = to_tensor(encode(upright, "PNG"), CONTRACT).astype(int)
    found = to_tensor(tiff_with_alpha(samples, bits, planes, kind), CONTRACT)
    assert np.abs(found - expected).max() <= 1


def deep_grey_tile(width: int) -> bytes:
    """Return a TIFF of 16 bits, grey, whose one tile is 320 pixels wide."""
    grey = np.asarray(scene(320, 48).convert("L")).astype("<u2") * 257
    plain = {256: width, 257: 48, 258: 16, 259: 1, 262: 1, 277: 1, 322: 320, 323: 48}
    start = 8 + 2 + 12 * 10 + 4
    tags = plain | {324: start, 325: grey.nbytes}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4) + grey.tobytes()


def test_deep_grey_tiles_are_read_right_or_refused() -> None:
    expected = to_tensor(encode(scene(320, 48).convert("L"), "PNG"), CONTRACT)
    assert np.array_equal(to_tensor(deep_grey_tile(320), CONTRACT), expected)
    with pytest.raises(UndecodablePicture, match="send it in strips, not in tiles"):
        to_tensor(deep_grey_tile(300), CONTRACT)
