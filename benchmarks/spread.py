"""Median, least and greatest of what the rounds measured."""

import statistics
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    least: float
    greatest: float

    def scaled(self, factor: float) -> "Spread":
        """Return the same in another unit."""
        return Spread(self.median * factor, self.least * factor, self.greatest * factor)

    def text(self, digits: int) -> str:
        """Return it as `median (least to greatest)`."""
        form = f"{{:.{digits}f}}"
        values = (self.median, self.least, self.greatest)
        return "{} ({} to {})".format(*(form.format(value) for value in values))


def spread(loads: list[dict[str, Any]], key: str) -> Spread:
    """Sum up one figure of several measurements."""
    values = [load[key] for load in loads]
    return Spread(statistics.median(values), min(values), max(values))
