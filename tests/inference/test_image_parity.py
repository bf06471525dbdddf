"""The same picture gives the same tensor here as in the gateway."""

import cv2
import pytest

from tests.golden_tensors import golden, tensor_hash


@pytest.mark.parametrize("name", golden())
def test_the_tensor_is_the_one_both_environments_make(name: str) -> None:
    assert tensor_hash(name) == golden()[name]


def test_opencv_keeps_silent_about_broken_pictures() -> None:
    assert cv2.getLogLevel() == 0
