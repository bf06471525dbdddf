"""What a picture's header says, before anything is decoded."""

from dataclasses import dataclass

from gateway.errors import UndecodablePicture

# Measured: OpenCV 4.11 and 5 keep two copies of 8-bit BGR, Pillow one of RGBX.
OPENCV_PIXEL_BYTES = 6
PILLOW_PIXEL_BYTES = 4


@dataclass(frozen=True, slots=True)
class Header:
    """Size in stored pixels, EXIF orientation 1..8, and bytes of memory that decoding needs.

    Pillow decodes pictures that OpenCV cannot decode, would flatten wrongly or would keep in memory
    twice. `scalable` pictures can be decoded at 1/2, 1/4 or 1/8: `memory` is then what they need at
    any scale, and the output comes on top.
    """

    format: str
    width: int
    height: int
    memory: int
    orientation: int = 1
    by_pillow: bool = False
    scalable: bool = False


def unsupported(name: str, accepted: str) -> UndecodablePicture:
    """Return the error for an intact file of a kind that no decoder here reads correctly."""
    return UndecodablePicture(f"This kind of {name} is not accepted; send {accepted}.")


def damaged(name: str) -> UndecodablePicture:
    """Return the error for a file that begins like this format but does not follow it."""
    return UndecodablePicture(f"This {name} file is damaged or incomplete; send an intact copy.")
