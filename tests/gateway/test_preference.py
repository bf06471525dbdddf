"""Which model answers when a request names none."""

import pytest

from gateway.catalog import Catalog
from tests.gateway.stub import StubTriton, model_config


def catalog(*served: str, wanted: str = "") -> Catalog:
    """Return a catalogue of models; a "?" behind a name stands for random weights."""
    triton = StubTriton()
    triton.configs.clear()
    for name in served:
        weights = "random" if name.endswith("?") else "imagenet"
        name = name.removesuffix("?")
        triton.configs[name, "1"] = model_config(name, weights=weights)
    found = Catalog(triton, wanted)
    found.refresh()
    return found


@pytest.mark.parametrize(
    ("served", "default"),
    [
        (("vgg16", "resnet50", "efficientnet_lite0"), "vgg16"),
        (("vgg16?", "resnet50", "efficientnet_lite0"), "efficientnet_lite0"),
        (("resnet50", "efficientnet_lite0"), "efficientnet_lite0"),
        (("zebras", "resnet50"), "resnet50"),
        (("zebras", "resnet50?"), "zebras"),
        (("vgg16?", "zebras"), "zebras"),
        (("vgg16?", "efficientnet_lite0?", "zebras"), "zebras"),
        (("vgg16?", "zebras?"), "zebras"),
        (("vgg16?",), "vgg16"),
    ],
    ids=str,
)
def test_the_usual_models_come_first_and_random_weights_last(
    served: tuple[str, ...], default: str
) -> None:
    assert catalog(*served).default() == default
    assert catalog(*served, wanted="resnet50").default() == "resnet50"


def test_the_weights_of_the_newest_version_count() -> None:
    triton = StubTriton()
    shared = {"weights": "imagenet", "weights_v1": "random", "weights_v2": "imagenet"}
    for version in ("1", "2"):
        triton.configs["vgg16", version] = model_config("vgg16", **shared)
    found = Catalog(triton)
    found.refresh()
    assert found.default() == "vgg16"
    del triton.configs["vgg16", "2"]
    found.refresh()
    assert found.default() == "colours"


@pytest.mark.parametrize(
    ("served", "wanted", "absent"),
    [
        (("efficientnet_lite0",), "", "vgg16"),
        (("efficientnet_lite0", "vgg16?", "resnet50"), "", "vgg16"),
        (("efficientnet_lite0", "vgg16"), "", ""),
        (("efficientnet_lite0",), "efficientnet_lite0", ""),
        (("efficientnet_lite0", "resnet50"), "resnet50", ""),
        (("resnet50",), "", ""),
        ((), "", ""),
    ],
    ids=str,
)
def test_only_the_automatic_choice_stands_in_for_another(
    served: tuple[str, ...], wanted: str, absent: str
) -> None:
    assert catalog(*served, wanted=wanted).stands_in_for() == absent


def test_a_model_of_ones_own_stands_in_for_nobody() -> None:
    triton = StubTriton()
    triton.configs.clear()
    triton.configs["efficientnet_lite0", "1"] = model_config(
        "efficientnet_lite0", weights="file:mine.keras"
    )
    found = Catalog(triton)
    found.refresh()
    assert found.stands_in_for() == ""
