"""No picture takes more than 200 MB, and none more than was counted from its header."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from gateway.errors import TooLarge
from gateway.formats import read_header
from gateway.image import Limits, to_tensor
from tests.memory import MEGABYTE, peak_of
from tests.photos import DATA
from tests.pictures import CONTRACT, encode

# The file, bands of rows and the allocator's reserve come on top of the picture.
OVERHEAD = 12 * MEGABYTE


def plain(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height), 90)


def sixteen_bits(width: int, height: int, channels: int) -> bytes:
    return cv2.imencode(".png", np.full((height, width, channels), 9999, np.uint16))[1].tobytes()


LARGEST: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encode(plain(8000, 6200), "JPEG"),
    "jpeg progressive": lambda: encode(plain(8000, 6200), "JPEG", progressive=True),
    "jpeg panorama": lambda: encode(plain(33_000, 1000), "JPEG"),
    "png": lambda: encode(plain(8000, 6200), "PNG", compress_level=1),
    "png 16 bits": lambda: sixteen_bits(8000, 6200, 3),
    "png 16 bits grey": lambda: sixteen_bits(6600, 5000, 1),
    "png alpha": lambda: encode(plain(8000, 6200, "RGBA"), "PNG", compress_level=1),
    "gif": lambda: encode(plain(8000, 6200, "P"), "GIF"),
    "webp": lambda: encode(plain(7000, 4000), "WEBP", method=0, lossless=True),
    "webp alpha": lambda: encode(plain(4100, 3000, "RGBA"), "WEBP", method=0),
    "avif": lambda: encode(plain(4100, 4000), "AVIF", speed=10, subsampling="4:4:4"),
    "tiff": lambda: encode(plain(6000, 5500), "TIFF", compression="tiff_adobe_deflate"),
    "bmp": lambda: encode(plain(5000, 4000, "P"), "BMP"),
}


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Load the decoders first, so that their code does not count as a picture's memory."""
    for name in ("plain.jpg", "alpha.png", "rgb16.png", "lossy.webp", "multipage.tif"):
        to_tensor((DATA / "odd_images" / name).read_bytes(), CONTRACT)
    for kind in ("AVIF", "WEBP", "GIF"):
        to_tensor(encode(plain(64, 64, "RGBA"), kind), CONTRACT)


@pytest.mark.parametrize("make", LARGEST.values(), ids=LARGEST.keys())
def test_the_largest_pictures_take_what_was_counted_and_under_200_megabytes(
    make: Callable[[], bytes],
) -> None:
    data = make()
    header = read_header(data)
    counted = header.memory
    if header.scalable:
        shorter = min(header.width, header.height)
        scale = next((n for n in (8, 4, 2) if shorter >= n * 512), 1)
        counted += 6 * header.width * header.height // scale**2
    taken = peak_of(lambda: to_tensor(data, CONTRACT))
    assert taken < 200 * MEGABYTE
    assert taken < counted + OVERHEAD


@pytest.mark.parametrize(
    "make",
    [
        lambda: (DATA / "odd_images/bomb_20000x20000_1bit.png").read_bytes(),
        lambda: encode(plain(8000, 6200), "JPEG", progressive=True, subsampling=0),
        lambda: encode(plain(6000, 3000, "RGBA"), "WEBP", method=0),
        lambda: encode(plain(5000, 4000), "AVIF", speed=10, quality=1),
    ],
    ids=["png bomb", "jpeg progressive", "webp alpha", "avif"],
)
def test_what_would_take_more_is_refused_without_decoding(make: Callable[[], bytes]) -> None:
    data = make()

    def refuse() -> None:
        with pytest.raises(TooLarge):
            to_tensor(data, CONTRACT)

    assert peak_of(refuse) < OVERHEAD


def test_the_memory_allowed_follows_the_pixels_allowed() -> None:
    assert Limits().max_memory == 200_000_000
    assert Limits(max_pixels=1_000_000).max_memory == 4_000_000
