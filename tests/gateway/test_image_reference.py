"""The rule in model_repository/README.md, written out in numpy, gives what OpenCV computes."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gateway.image import to_tensor
from tests.photos import PATHS
from tests.pictures import CONTRACT, encode

INPUT = CONTRACT.width


@pytest.mark.parametrize("shorter_side", [100, 256, 575, 576, 2000])
def test_the_documented_rule_gives_the_same_tensor(shorter_side: int) -> None:
    for path in PATHS[::4]:
        with Image.open(path) as photo:
            scale = shorter_side / min(photo.size)
            size = (round(photo.width * scale), round(photo.height * scale))
            picture = photo.convert("RGB").resize(size)
        computed = to_tensor(encode(picture, "PNG", compress_level=1), CONTRACT)
        assert np.abs(computed - prepared(np.asarray(picture))).max() < 2, path.name


def prepared(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Cut out the middle, average its blocks, and resize what that gives."""
    cut = round(INPUT * min(picture.shape[:2]) / CONTRACT.resize_shorter_side)
    block = max(1, round(cut / INPUT / 1.5))
    cut -= cut % block
    top, left = ((length - cut) // 2 for length in picture.shape[:2])
    crop = picture[top : top + cut, left : left + cut]
    averaged = crop.reshape(cut // block, block, cut // block, block, 3).mean(axis=(1, 3))
    weights = cubic(cut // block)
    resized = np.einsum("ay,bx,yxc->abc", weights, weights, averaged, optimize=True)
    return np.clip(resized, 0, 255)


def cubic(length: int, a: float = -0.75) -> NDArray[np.float64]:
    """Return how much each of `length` pixels counts for each of the input's."""
    weights = np.zeros((INPUT, length))
    for index in range(INPUT):
        place = (index + 0.5) * length / INPUT - 0.5
        for pixel in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            x = abs(place - pixel)
            near = ((a + 2) * x - (a + 3)) * x * x + 1
            far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
            weights[index, min(max(pixel, 0), length - 1)] += near if x <= 1 else far
    return weights
