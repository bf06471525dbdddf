"""Thousands of broken pictures: each is a tensor or a clear refusal, in bounded memory."""

from collections import Counter

import cv2
import numpy as np
import pytest

from gateway.errors import NotAPicture, TooLarge, UndecodablePicture
from gateway.image import to_tensor
from tests.gateway.mutations import mutant
from tests.memory import MEGABYTE, peak_of
from tests.photos import DATA
from tests.pictures import CONTRACT, encode, exif, scene

REFUSALS = (NotAPicture, TooLarge, UndecodablePicture)
SEEDS_A_FORMAT = 500


def sound_pictures() -> dict[str, list[bytes]]:
    """Return small sound pictures of every kind, by format."""
    picture = scene(96, 72)
    clear = picture.convert("RGBA")
    clear.putalpha(120)
    deep = np.asarray(picture).astype(np.uint16) * 257
    tagged = {"exif": exif(6)}
    return {
        "jpeg": [
            encode(picture, "JPEG", **tagged),
            encode(picture, "JPEG", progressive=True),
            encode(picture.convert("CMYK"), "JPEG"),
            (DATA / "odd_images/grey.jpg").read_bytes(),
        ],
        "png": [
            encode(picture, "PNG", **tagged),
            encode(clear, "PNG"),
            encode(picture.quantize(16), "PNG", transparency=3),
            encode(picture, "PNG", save_all=True, append_images=[picture.rotate(90)]),
            cv2.imencode(".png", deep)[1].tobytes(),
        ],
        "gif": [encode(picture, "GIF", save_all=True, append_images=[picture.rotate(90)])],
        "webp": [
            encode(picture, "WEBP", **tagged),
            encode(clear, "WEBP"),
            encode(picture, "WEBP", lossless=True),
            encode(picture, "WEBP", save_all=True, append_images=[picture.rotate(90)]),
        ],
        "avif": [encode(picture, "AVIF", **tagged), encode(clear, "AVIF")],
        "bmp": [encode(picture, "BMP"), encode(picture.quantize(16), "BMP")],
        "tiff": [
            encode(picture, "TIFF", **tagged),
            encode(clear, "TIFF", compression="tiff_adobe_deflate"),
            encode(picture, "TIFF", compression="tiff_lzw"),
            encode(picture, "TIFF", compression="jpeg"),
            encode(picture.convert("1"), "TIFF", compression="group4"),
            cv2.imencode(".tif", deep)[1].tobytes(),
        ],
    }


SOUND = sound_pictures()


def outcome(data: bytes) -> str:
    """Return "tensor" or the name of the refusal; anything else makes the test fail."""
    try:
        tensor = to_tensor(data, CONTRACT)
    except REFUSALS as refusal:
        assert 400 <= refusal.status < 500
        assert refusal.message.endswith((".", "!"))
        return type(refusal).__name__
    assert (tensor.shape, tensor.dtype) == ((224, 224, 3), np.uint8)
    return "tensor"


@pytest.mark.parametrize("name", SOUND)
def test_broken_pictures_are_decoded_or_refused(name: str) -> None:
    sound = SOUND[name] * 3 + [data for kind in SOUND.values() for data in kind[:1]]
    counts: Counter[str] = Counter()

    def run() -> None:
        for seed in range(SEEDS_A_FORMAT):
            try:
                counts[outcome(mutant(seed, sound))] += 1
            except Exception as error:
                raise AssertionError(f"the mutant with seed {seed} escaped") from error

    assert peak_of(run) < 250 * MEGABYTE
    assert counts["tensor"] > 20
    assert counts["UndecodablePicture"] > 50


@pytest.mark.parametrize("name", SOUND)
def test_the_sound_pictures_they_are_made_from_are_accepted(name: str) -> None:
    assert [outcome(data) for data in SOUND[name]] == ["tensor"] * len(SOUND[name])


def test_the_same_seed_breaks_the_same_picture() -> None:
    mutants = [mutant(seed, SOUND["png"]) for seed in range(50)]
    assert mutants == [mutant(seed, SOUND["png"]) for seed in range(50)]
    assert len(set(mutants)) > 40
