"""Pictures made for tests: a scene in which every corner looks different, in any format."""

import io
from typing import Any

import numpy as np
from PIL import Image

from gateway.contract import Contract

CONTRACT = Contract(224, 224, 256, "center", "cubic", "RGB", "0-255")


def scene(width: int, height: int) -> Image.Image:
    """Return a smooth RGB picture without any symmetry."""
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    red = 40 + 200 * x + 0 * y
    green = 30 + 150 * y + 40 * x
    blue = 200 - 100 * x * y - 60 * x
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the picture as a file of this kind; options are Pillow's."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    """Return EXIF data with nothing but this orientation."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags
