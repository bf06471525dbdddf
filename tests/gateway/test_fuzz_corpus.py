"""Everything the fuzzer ever found is decoded or refused, quickly and in little memory."""

from pathlib import Path

import pytest

from gateway.errors import NotAPicture, TooLarge, UndecodablePicture
from gateway.image import Limits, to_tensor
from tests.memory import MEGABYTE, peak_of
from tests.pictures import CONTRACT
from tests.places import HOME

CORPUS = sorted((HOME / "fuzz/corpus").iterdir())
LIMITS = Limits(max_pixels=1_000_000)


def decodes(path: Path) -> bool:
    try:
        return to_tensor(path.read_bytes(), CONTRACT, LIMITS).shape == (224, 224, 3)
    except (NotAPicture, TooLarge, UndecodablePicture):
        return False


def test_every_file_of_the_corpus_is_decoded_or_refused() -> None:
    decodes(CORPUS[0])
    assert peak_of(lambda: [decodes(path) for path in CORPUS]) < 64 * MEGABYTE


@pytest.mark.parametrize(
    "path",
    [path for path in CORPUS if path.name.startswith("sound_")],
    ids=lambda path: path.name,
)
def test_the_sound_pictures_are_decoded(path: Path) -> None:
    assert decodes(path)


@pytest.mark.parametrize("number", [1, 2])
def test_a_png_chunk_longer_than_its_file_costs_no_memory(number: int) -> None:
    path = next(path for path in CORPUS if path.name == f"png_chunk_longer_than_file_{number}")
    assert peak_of(lambda: decodes(path)) < 16 * MEGABYTE
    assert not decodes(path)
