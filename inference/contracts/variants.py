"""The usual mistakes of preprocessing, each as a contract of its own and with a name."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.contract import CHOICES, Contract

HOW = {"center": "cropped", "none": "squeezed"}


@dataclass(frozen=True)
class Variant:
    """A contract that differs from the right one in what somebody typically gets wrong."""

    contract: Contract
    kind: str
    wrong: str
    right: str

    def mistake(self) -> str:
        """Name the mistake of whoever follows this contract."""
        return f"wrong {self.kind} ({self.wrong} instead of {self.right})"

    def swapped(self) -> str:
        """Name the mistake of whoever follows the other contract where this one is right."""
        return f"wrong {self.kind} ({self.right} instead of {self.wrong})"


def variants(right: Contract) -> Iterator[Variant]:
    """Yield the usual mistakes, the most frequent first."""
    order = "BGR" if right.colour_order == "RGB" else "RGB"
    crop = "none" if right.crop == "center" else "center"
    yield Variant(replace(right, colour_order=order), "channel order", order, right.colour_order)
    longest = max(right.width, right.height)
    shorter = max(right.resize_shorter_side, longest)
    squeezed = replace(right, crop=crop, resize_shorter_side=shorter)
    yield Variant(squeezed, "resize", HOW[crop], HOW[right.crop])
    yield Variant(
        replace(squeezed, colour_order=order),
        "channel order and resize",
        f"{order}, {HOW[crop]}",
        f"{right.colour_order}, {HOW[right.crop]}",
    )
    if right.crop == "center" and right.resize_shorter_side != longest:
        yield Variant(
            replace(right, resize_shorter_side=longest),
            "resize",
            f"shorter side {longest}",
            f"{right.resize_shorter_side}",
        )
    for name in CHOICES["interpolation"]:
        if name != right.interpolation:
            yield Variant(
                replace(right, interpolation=name), "interpolation", name, right.interpolation
            )
