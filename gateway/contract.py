"""How a picture becomes a model's input, as the model's own config.pbtxt states it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

LARGEST_SIDE = 4096
CHOICES: Mapping[str, tuple[str, ...]] = {
    "crop": ("center", "none"),
    "interpolation": ("cubic", "linear", "area", "lanczos"),
    "colour_order": ("RGB", "BGR"),
    "value_range": ("0-255",),
}


class ContractError(Exception):
    """A model's own config.pbtxt states a contract that cannot be followed."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The rules of preprocessing; sides in pixels.

    `crop` "center" brings the shorter side to `resize_shorter_side` and takes the middle;
    "none" squeezes the whole picture into the input.
    """

    width: int
    height: int
    resize_shorter_side: int
    crop: str
    interpolation: str
    colour_order: str
    value_range: str

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> "Contract":
        """Read the contract, ignoring other parameters; ContractError names the bad one."""
        texts = {entry.name: _text(parameters, entry.name) for entry in fields(cls)}
        contract = cls(
            width=_side(texts, "width"),
            height=_side(texts, "height"),
            resize_shorter_side=_side(texts, "resize_shorter_side"),
            **{name: _choice(texts, name) for name in CHOICES},
        )
        longest = max(contract.width, contract.height)
        if contract.crop == "center" and contract.resize_shorter_side < longest:
            raise ContractError(
                f'The model\'s parameter resize_shorter_side is "{contract.resize_shorter_side}", '
                f"smaller than the crop; make it {longest} or more in config.pbtxt."
            )
        return contract

    @property
    def shape(self) -> list[int]:
        """Return the shape of the tensor that a picture becomes."""
        return [self.height, self.width, 3]

    def fits(self, dims: Sequence[int]) -> bool:
        """Tell whether that tensor fits an input of these dims, of which -1 may be any size."""
        sizes = zip(dims, self.shape, strict=True)
        return len(dims) == len(self.shape) and all(size in (-1, own) for size, own in sizes)

    def as_parameters(self) -> dict[str, str]:
        """Return the contract as the strings that config.pbtxt holds."""
        return {entry.name: str(getattr(self, entry.name)) for entry in fields(self)}


def _text(parameters: Mapping[str, str], name: str) -> str:
    if name not in parameters:
        raise ContractError(
            f"The model's config.pbtxt lacks the parameter {name}; add it under parameters, "
            "as model_repository/README.md shows."
        )
    return parameters[name]


def _side(texts: Mapping[str, str], name: str) -> int:
    text = texts[name]
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= LARGEST_SIDE:
        raise ContractError(
            f'The model\'s parameter {name} is "{text[:40]}"; '
            f"give a whole number from 1 to {LARGEST_SIDE} in config.pbtxt."
        )
    return int(text)


def _choice(texts: Mapping[str, str], name: str) -> str:
    text = texts[name]
    if text not in CHOICES[name]:
        raise ContractError(
            f'The model\'s parameter {name} is "{text[:40]}"; '
            f"give {' or '.join(CHOICES[name])} in config.pbtxt."
        )
    return text
