"""Encoded pictures become the tensor the contract asks for."""

import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gateway.contract import Contract
from gateway.errors import NotAPicture, TooLarge, UndecodablePicture
from gateway.formats import Header
from gateway.image import Limits, _scale, to_tensor
from tests.photos import DATA, odd_images, photos
from tests.pictures import CONTRACT, encode, exif, scene

ODD = DATA / "odd_images"
SQUEEZE = replace(CONTRACT, crop="none")
# How an upright picture is turned to be stored with each orientation, as the EXIF standard says.
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the mean difference in grey levels."""
    return float(np.abs(one.astype(int) - other).mean())


def tensor(picture: Image.Image, kind: str = "PNG", **options: object) -> NDArray[np.uint8]:
    return to_tensor(encode(picture, kind, **options), CONTRACT)


def test_the_tensor_has_the_contracts_shape_and_type() -> None:
    result = to_tensor(photos()[0].data, replace(CONTRACT, width=200, height=160))
    assert (result.shape, result.dtype) == ((160, 200, 3), np.uint8)
    assert result.flags.c_contiguous


def test_colours_come_in_the_contracts_order() -> None:
    red = encode(Image.new("RGB", (300, 300), (250, 20, 5)), "PNG")
    assert to_tensor(red, CONTRACT)[0, 0].tolist() == [250, 20, 5]
    assert to_tensor(red, replace(CONTRACT, colour_order="BGR"))[0, 0].tolist() == [5, 20, 250]


def test_a_mistake_of_ours_is_not_blamed_on_the_picture() -> None:
    with pytest.raises(KeyError, match="unknown"):
        to_tensor(photos()[0].data, replace(CONTRACT, interpolation="unknown"))


@pytest.mark.parametrize("size", [(512, 256), (256, 512)], ids=["wide", "tall"])
def test_the_centre_is_cut_out(size: tuple[int, int]) -> None:
    picture = scene(*size)
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    middle = np.asarray(picture.crop((left, top, left + 224, top + 224)))
    assert (tensor(picture) == middle).all()


def test_without_a_crop_the_whole_picture_is_squeezed() -> None:
    picture = scene(448, 224)
    whole = cv2.resize(np.asarray(picture), (224, 224), interpolation=cv2.INTER_CUBIC)
    assert (to_tensor(encode(picture, "PNG"), SQUEEZE) == whole).all()


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("cubic", cv2.INTER_CUBIC),
        ("linear", cv2.INTER_LINEAR),
        ("area", cv2.INTER_AREA),
        ("lanczos", cv2.INTER_LANCZOS4),
    ],
)
def test_the_contracts_interpolation_is_used(name: str, flag: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    wanted = cv2.resize(noise, (224, 224), interpolation=flag)
    contract = replace(SQUEEZE, interpolation=name)
    assert (to_tensor(encode(Image.fromarray(noise), "PNG"), contract) == wanted).all()


def test_cropping_first_gives_the_same_picture_as_resizing_first() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (512, 768, 3), np.uint8)
    small = cv2.resize(noise, (384, 256), interpolation=cv2.INTER_CUBIC)
    result = tensor(Image.fromarray(noise))
    # Only at the very edge does the crop repeat its own pixels instead of seeing its neighbours.
    assert difference(result[2:-2, 2:-2], small[18:-18, 82:-82]) < 0.01


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 1.5),
        ("PNG", {}, 0.01),
        ("WEBP", {"lossless": True}, 0.01),
        ("TIFF", {}, 0.01),
        ("AVIF", {"quality": 95}, 1.5),
    ],
    ids=["jpeg", "png", "webp", "tiff", "avif"],
)
def test_every_orientation_is_turned_upright(
    orientation: int, kind: str, options: dict[str, object], tolerance: float
) -> None:
    upright = scene(404, 310)  # with odd margins on both sides of the crop
    turn = TURNS[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    result = tensor(stored, kind, exif=exif(orientation), **options)
    assert difference(result, tensor(upright)) < tolerance


def test_a_tiff_may_begin_its_numbers_with_either_end() -> None:
    grey = np.asarray(scene(404, 310).convert("L")).astype(np.uint16) * 257
    little = encode(Image.frombytes("I;16", (404, 310), grey.tobytes()), "TIFF", tiffinfo={274: 6})
    swapped = Image.frombytes("I;16B", (404, 310), grey.byteswap().tobytes())
    big = encode(swapped, "TIFF", tiffinfo={274: 6})
    assert (little[:2], big[:2]) == (b"II", b"MM")
    assert (to_tensor(little, CONTRACT) == to_tensor(big, CONTRACT)).all()


def test_a_turned_picture_is_cropped_to_the_upright_shape() -> None:
    contract = replace(CONTRACT, width=200, height=100)
    upright = scene(400, 300)
    stored = encode(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif(6))
    result = to_tensor(stored, contract)
    assert result.shape == (100, 200, 3)
    assert difference(result, to_tensor(encode(upright, "PNG"), contract)) < 0.01


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"quality": 95, "progressive": True}),
        ("CMYK", "JPEG", {"quality": 95}),
        ("RGB", "PNG", {}),
        ("RGB", "WEBP", {"quality": 95}),
        ("RGB", "WEBP", {"lossless": True}),
        ("RGB", "AVIF", {"quality": 95}),
        ("RGB", "BMP", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg", "quality": 95}),
        ("RGBA", "PNG", {}),
        ("RGBA", "WEBP", {"quality": 95}),
        ("RGBA", "AVIF", {"quality": 95}),
        ("RGBA", "TIFF", {}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("P", "BMP", {}),
        ("P", "TIFF", {}),
    ],
)
def test_every_format_gives_the_same_picture(
    mode: str, kind: str, options: dict[str, object]
) -> None:
    picture = scene(330, 270)
    stored = picture.quantize(256) if mode == "P" else picture.convert(mode)
    assert difference(tensor(stored, kind, **options), tensor(picture)) < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_grey_pictures_have_three_equal_channels(kind: str) -> None:
    grey = scene(330, 270).convert("L")
    result = tensor(grey, kind)
    assert difference(result, tensor(grey.convert("RGB"))) < 2
    assert np.ptp(result, axis=-1).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("shape", ["RGB", "L"])
def test_sixteen_bits_are_scaled_to_eight(suffix: str, shape: str) -> None:
    pixels = np.asarray(scene(330, 270).convert(shape))
    deep = (
        (pixels.astype(np.uint16) * 257)[..., ::-1] if shape == "RGB" else pixels * np.uint16(257)
    )
    encoded = cv2.imencode(suffix, deep)[1].tobytes()
    assert difference(to_tensor(encoded, CONTRACT), tensor(Image.fromarray(pixels))) < 1


def test_a_large_grey_picture_of_sixteen_bits_is_scaled_not_cut_off() -> None:
    deep = cv2.imencode(".png", np.full((2900, 2900), 9999, np.uint16))[1].tobytes()
    assert (to_tensor(deep, CONTRACT) == 9999 >> 8).all()


def test_a_transparent_colour_of_sixteen_bits_is_taken_as_it_is() -> None:
    deep = cv2.imencode(".png", np.full((300, 300), 9999, np.uint16))[1].tobytes()
    chunk = b"tRNS" + struct.pack(">H", 1)
    chunk = struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert (to_tensor(deep[:33] + chunk + deep[33:], CONTRACT) == 9999 >> 8).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_colour_profile_is_ignored(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    picture = scene(330, 270)
    assert (tensor(picture, kind, icc_profile=profile) == tensor(picture, kind)).all()


def test_bilevel_pictures_are_black_and_white() -> None:
    picture = Image.new("1", (300, 300), 1)
    picture.paste(0, (0, 0, 150, 300))
    for kind in ("PNG", "BMP", "TIFF", "GIF"):
        result = tensor(picture, kind)
        assert (result[:, :100] == 0).all(), kind
        assert (result[:, -100:] == 255).all(), kind


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_transparency_becomes_white(kind: str, lossless: bool) -> None:
    picture = Image.new("RGBA", (300, 300), (200, 0, 0, 0))
    picture.paste((200, 0, 0, 255), (0, 0, 150, 300))
    picture.paste((200, 0, 0, 128), (0, 150, 150, 300))
    result = tensor(picture, kind, quality=100, lossless=lossless).astype(int)
    assert np.abs(result[:80, :80] - (200, 0, 0)).max() < 12
    assert np.abs(result[-80:, :80] - (227, 127, 127)).max() < 12
    assert np.abs(result[:, -80:] - 255).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_becomes_white(kind: str) -> None:
    picture = Image.new("P", (300, 300), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.paste(0, (0, 0, 150, 300))
    result = tensor(picture, kind, transparency=0)
    assert result[100, 20].tolist() == [255, 255, 255]
    assert result[100, 200].tolist() == [10, 20, 30]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_becomes_white_however_few_bits_it_has(bits: int) -> None:
    largest = (1 << bits) - 1
    for transparent in {0, largest // 2, largest}:
        for shown in {0, largest // 2, largest} - {transparent}:
            result = to_tensor(grey_png(bits, transparent, shown), CONTRACT)
            assert (result[:80] == 255).all(), (transparent, shown)
            assert (result[-80:] == shown * 255 // largest).all(), (transparent, shown)


@pytest.mark.parametrize("content", [b"", b"\0"], ids=len)
def test_a_transparent_grey_that_is_cut_short_is_damaged(content: bytes) -> None:
    data = grey_png(4, 0, 1)
    at = data.index(b"tRNS")
    chunk = struct.pack(">I", len(content)) + b"tRNS" + content
    broken = data[: at - 4] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + data[at + 10 :]
    with pytest.raises(UndecodablePicture):
        to_tensor(broken, CONTRACT)


def grey_png(bits: int, transparent: int, shown: int) -> bytes:
    """Return a square whose upper half has the transparent grey, and whose lower half another."""
    one = 255 // ((1 << bits) - 1)  # a byte in which every pixel is 1
    halves = [b"\0" + bytes([grey * one] * (32 * bits)) for grey in (transparent, shown)]
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 256, 256, bits, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", transparent)),
        (b"IDAT", zlib.compress(halves[0] * 128 + halves[1] * 128)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_grey_with_alpha_becomes_grey_on_white() -> None:
    result = tensor(Image.new("LA", (300, 300), (100, 0)))
    assert (result == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_only_the_first_frame_or_page_counts(kind: str) -> None:
    first, second = scene(330, 270), Image.new("RGB", (330, 270), "white")
    options = {"lossless": True} if kind == "WEBP" else {}
    result = tensor(first, kind, save_all=True, append_images=[second, second], **options)
    assert difference(result, tensor(first)) < 6


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2), (8000, 2)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_tiny_and_narrow_pictures_are_stretched(size: tuple[int, int], kind: str) -> None:
    assert tensor(scene(*size), kind).shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("size", "contract", "scale"),
    [
        ((4096, 4096), CONTRACT, 8),
        ((4095, 8192), CONTRACT, 4),
        ((8192, 4095), CONTRACT, 4),
        ((1024, 8192), CONTRACT, 2),
        ((1023, 8192), CONTRACT, 1),
        ((4800, 4800), replace(CONTRACT, width=100, height=300, crop="none"), 8),
        ((4799, 4799), replace(CONTRACT, width=100, height=300, crop="none"), 4),
        ((4799, 4799), replace(CONTRACT, width=300, height=100, crop="none"), 4),
    ],
)
def test_a_large_jpeg_is_decoded_just_large_enough(
    size: tuple[int, int], contract: Contract, scale: int
) -> None:
    jpeg = Header("JPEG", *size, memory=0, scalable=True)
    assert _scale(jpeg, contract)[0] == scale
    assert _scale(replace(jpeg, scalable=False), contract) == (1, cv2.IMREAD_COLOR)


def test_a_scaled_down_jpeg_looks_like_the_whole_one() -> None:
    # Enlarged, and with the grain of a sensor, or there would be no detail to lose.
    bison = next(photo for photo in photos() if photo.label == "bison")
    large = cv2.resize(cv2.imread(str(bison.path)), (2400, 1800), interpolation=cv2.INTER_LANCZOS4)
    grain = np.random.default_rng(2).normal(0, 3, large.shape)
    large = np.clip(large + grain, 0, 255).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    whole = cv2.imencode(".png", cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[1].tobytes()
    assert difference(to_tensor(jpeg.tobytes(), CONTRACT), to_tensor(whole, CONTRACT)) < 3.5


def test_a_jpeg_that_is_not_far_too_large_is_decoded_whole() -> None:
    noise = np.random.default_rng(4).integers(0, 256, (1000, 1100, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", noise)[1]
    whole = cv2.imencode(".png", cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[1].tobytes()
    assert (to_tensor(jpeg.tobytes(), CONTRACT) == to_tensor(whole, CONTRACT)).all()


def test_far_too_large_a_picture_is_averaged_not_sampled() -> None:
    stripes = np.zeros((2240, 2240, 3), np.uint8)
    stripes[:, ::2] = 255
    result = tensor(Image.fromarray(stripes))
    assert np.abs(result.astype(int) - 128).max() <= 1


@pytest.mark.parametrize(("path", "expected"), odd_images(), ids=lambda value: str(value)[-24:])
def test_every_odd_file_gives_a_tensor_or_its_own_error(path: object, expected: str) -> None:
    refused = {
        "zero_bytes.jpg": NotAPicture,
        "text.jpg": NotAPicture,
        "truncated_half.jpg": UndecodablePicture,
        "bomb_20000x20000_1bit.png": TooLarge,
    }.get(path.name)
    if refused:
        assert "reject" in expected
        with pytest.raises(refused):
            to_tensor(path.read_bytes(), CONTRACT)
    else:
        assert to_tensor(path.read_bytes(), CONTRACT).std() > (0 if "pixel" in path.name else 10)


@pytest.mark.parametrize("name", ["jpeg_named.png", "progressive.jpg", "cmyk.jpg"])
def test_the_same_photo_looks_the_same_however_it_is_stored(name: str) -> None:
    plain = to_tensor((ODD / "plain.jpg").read_bytes(), CONTRACT)
    assert difference(to_tensor((ODD / name).read_bytes(), CONTRACT), plain) < 5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
def test_half_a_file_is_refused(kind: str) -> None:
    data = encode(scene(330, 270), kind)
    to_tensor(data, CONTRACT)
    with pytest.raises(UndecodablePicture, match="damaged or incomplete"):
        to_tensor(data[: len(data) // 2], CONTRACT)


def test_too_many_bytes_are_refused() -> None:
    data = photos()[0].data
    to_tensor(data, CONTRACT, Limits(max_bytes=len(data)))
    with pytest.raises(TooLarge, match=f"exceeds the limit of {len(data) - 1} bytes"):
        to_tensor(data, CONTRACT, Limits(max_bytes=len(data) - 1))


def test_too_many_pixels_are_refused() -> None:
    data = encode(scene(100, 50), "GIF")
    to_tensor(data, CONTRACT, Limits(max_pixels=5000))
    with pytest.raises(TooLarge, match="has 100 x 50 pixels; at most 4,999 and"):
        to_tensor(data, CONTRACT, Limits(max_pixels=4999))


@pytest.mark.parametrize("size", [(100, 50), (50, 100)])
def test_too_long_a_side_is_refused(size: tuple[int, int]) -> None:
    data = encode(scene(*size), "PNG")
    to_tensor(data, CONTRACT, Limits(max_side=100))
    with pytest.raises(TooLarge, match="99 along a side"):
        to_tensor(data, CONTRACT, Limits(max_side=99))


def test_a_picture_that_needs_too_much_memory_is_refused() -> None:
    wide = encode(Image.new("RGB", (5000, 4000)), "AVIF", quality=1, speed=10)
    with pytest.raises(TooLarge, match="Decoding this AVIF picture of 5000 x 4000 pixels would"):
        to_tensor(wide, CONTRACT)


def test_a_picture_just_above_the_memory_allowed_is_told_two_numbers() -> None:
    data = encode(Image.new("RGBA", (512, 513)), "WEBP", method=0)
    with pytest.raises(TooLarge, match="would take 5 MB; at most 4 MB are allowed"):
        to_tensor(data, CONTRACT, Limits(max_pixels=1_050_000))


@pytest.mark.parametrize("kind", ["BMP", "PNG", "GIF"])
def test_a_picture_without_pixels_is_refused(kind: str) -> None:
    data = bytearray(encode(Image.new("P", (9, 9)), kind))
    where = {"BMP": (18, "<I"), "PNG": (16, ">I"), "GIF": (6, "<H")}[kind]
    struct.pack_into(where[1], data, where[0], 0)
    if kind == "GIF":
        image = data.index(b"\x2c\0\0\0\0")
        struct.pack_into("<H", data, image + 5, 0)
    with pytest.raises(UndecodablePicture):
        to_tensor(bytes(data), CONTRACT)


def test_a_second_png_header_cannot_enlarge_the_picture() -> None:
    data = encode(Image.new("LA", (9, 9)), "PNG")
    large = encode(Image.new("LA", (4000, 4000)), "PNG")[8:33]
    with pytest.raises(UndecodablePicture, match="larger than its header says"):
        to_tensor(data[:33] + large + data[33:], CONTRACT)


def test_broken_notes_in_a_png_neither_matter_nor_reach_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = encode(scene(330, 270), "PNG")
    broken = struct.pack(">I4s9sI", 9, b"tEXt", b"Title\0abc", 12345)
    noisy = data[:33] + broken * 100 + data[33:]
    assert (to_tensor(noisy, CONTRACT) == to_tensor(data, CONTRACT)).all()
    assert capfd.readouterr() == ("", "")


def test_a_broken_picture_leaves_no_word_of_opencv_in_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    floats = cv2.imencode(".tif", np.ones((30, 20, 3), np.float32))[1].tobytes()
    with pytest.raises(UndecodablePicture):
        to_tensor(floats, CONTRACT)
    assert capfd.readouterr() == ("", "")


def test_only_the_limits_say_how_many_pixels_are_too_many() -> None:
    assert Image.MAX_IMAGE_PIXELS is None
