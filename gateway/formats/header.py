"""What a picture's header says, before anything is decoded."""

from dataclasses import dataclass

from gateway.errors import UndecodablePicture


@dataclass(frozen=True, slots=True)
class Header:
    """Size in stored pixels, EXIF orientation 1..8, and bytes of memory that decoding needs.

    `transparent` pictures are for Pillow. `scalable` ones can be decoded at 1/2, 1/4 or 1/8:
    then `memory` is what is needed at any scale, and the output comes on top.
    """

    format: str
    width: int
    height: int
    memory: int
    orientation: int = 1
    transparent: bool = False
    scalable: bool = False


def damaged(name: str) -> UndecodablePicture:
    """Return the error for a file that begins like this format but does not go on so."""
    return UndecodablePicture(f"This {name} file is damaged or incomplete; send it again.")
