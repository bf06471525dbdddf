"""The preprocessing contract in a model's parameters."""

import pytest

from gateway.contract import Contract, ContractError

PARAMETERS = {
    "width": "224",
    "height": "192",
    "resize_shorter_side": "256",
    "crop": "center",
    "interpolation": "cubic",
    "colour_order": "RGB",
    "value_range": "0-255",
}


def test_parameters_become_a_contract() -> None:
    contract = Contract.from_parameters(PARAMETERS)
    assert contract == Contract(224, 192, 256, "center", "cubic", "RGB", "0-255")


def test_other_parameters_are_ignored() -> None:
    extended = {**PARAMETERS, "weights": "imagenet", "TF_NUM_INTRA_THREADS": "2"}
    assert Contract.from_parameters(extended) == Contract.from_parameters(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_missing_parameter_is_named(name: str) -> None:
    rest = {key: value for key, value in PARAMETERS.items() if key != name}
    with pytest.raises(ContractError, match=rf"lacks the parameter {name};"):
        Contract.from_parameters(rest)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", "0"),
        ("width", "-1"),
        ("width", "4097"),
        ("height", "224.0"),
        ("height", ""),
        ("height", "\u0663"),
        ("resize_shorter_side", "256px"),
        ("crop", "left"),
        ("interpolation", "CUBIC"),
        ("colour_order", "rgb"),
        ("value_range", "0-1"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(ContractError, match=rf'parameter {name} is "{value}"'):
        Contract.from_parameters({**PARAMETERS, name: value})


def test_the_largest_crop_is_4096_pixels_long_and_may_be_the_whole_shorter_side() -> None:
    largest = {**PARAMETERS, "height": "4096", "resize_shorter_side": "4096"}
    assert Contract.from_parameters(largest).height == 4096


@pytest.mark.parametrize("side", ["width", "height"])
def test_a_crop_beyond_the_shorter_side_is_refused(side: str) -> None:
    with pytest.raises(ContractError, match='resize_shorter_side is "256", smaller than the crop'):
        Contract.from_parameters({**PARAMETERS, side: "257"})


def test_a_squeezed_picture_needs_no_larger_shorter_side() -> None:
    squeezed = {**PARAMETERS, "crop": "none", "resize_shorter_side": "1"}
    assert Contract.from_parameters(squeezed).crop == "none"
