"""Which part of the stored picture becomes the input, whichever way up it is stored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Contract

TRANSPOSED = frozenset({5, 6, 7, 8})
FLIPPED_X = frozenset({2, 3, 7, 8})
FLIPPED_Y = frozenset({3, 4, 6, 7})
# Whole pixels are averaged until about this ratio is left: bicubic alone would skip pixels.
LEFT_TO_RESIZE = 1.5


@dataclass(frozen=True, slots=True)
class Frame:
    """The crop in stored pixels, the whole factor to shrink it by, and the size to resize to.

    `width` and `height` are multiples of `shrink`; `orientation` says how to turn the result.
    """

    left: int
    top: int
    width: int
    height: int
    shrink: int
    out_width: int
    out_height: int
    orientation: int


def frame(width: int, height: int, orientation: int, contract: Contract) -> Frame:
    """Frame a stored picture; turned upright, the result is the same for every orientation."""
    out = (contract.width, contract.height)
    if orientation in TRANSPOSED:
        out = out[::-1]
    crop = _crop(width, height, out, contract)
    shrink = _shrink(crop, out)
    kept = (crop[0] - crop[0] % shrink, crop[1] - crop[1] % shrink)
    # An odd margin leaves its extra pixel at the right and bottom of the upright picture.
    left = (width - kept[0] + (orientation in FLIPPED_X)) // 2
    top = (height - kept[1] + (orientation in FLIPPED_Y)) // 2
    return Frame(left, top, *kept, shrink, *out, orientation)


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn [H,W,3] as EXIF says; returns a contiguous array."""
    if orientation in FLIPPED_X:
        pixels = pixels[:, ::-1]
    if orientation in FLIPPED_Y:
        pixels = pixels[::-1]
    if orientation in TRANSPOSED:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels)


def _crop(width: int, height: int, out: tuple[int, int], contract: Contract) -> tuple[int, int]:
    if contract.crop == "none":
        return width, height
    scale = min(width, height) / contract.resize_shorter_side
    return max(1, round(out[0] * scale)), max(1, round(out[1] * scale))


def _shrink(crop: tuple[int, int], out: tuple[int, int]) -> int:
    ratio = min(crop[0] / out[0], crop[1] / out[1])
    return max(1, round(ratio / LEFT_TO_RESIZE))
