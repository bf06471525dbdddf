import importlib
import subprocess
import sys

import pytest

from exporter.architectures import ARCHITECTURES, ModelSpec

LIGHT = """
import sys
from exporter.command import main
main(["--list"])
print(sorted({"tensorflow", "keras", "openvino", "nncf"} & set(sys.modules)))
"""


def test_listing_the_models_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stdout.startswith("vgg16")


@pytest.mark.parametrize("spec", ARCHITECTURES.values(), ids=lambda spec: spec.name)
def test_the_crop_shows_seven_eighths_of_the_shorter_side(spec: ModelSpec) -> None:
    assert spec.contract.width == spec.contract.height == spec.size
    assert abs(spec.size / spec.resize_shorter_side - 0.875) < 0.001


@pytest.mark.parametrize("spec", ARCHITECTURES.values(), ids=lambda spec: spec.name)
def test_the_builder_is_there(spec: ModelSpec) -> None:
    module, function = spec.builder.split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_another_input_size_shows_the_same_part() -> None:
    contract = ARCHITECTURES["vgg16"].resized(112).contract
    assert (contract.width, contract.height, contract.resize_shorter_side) == (112, 112, 128)
