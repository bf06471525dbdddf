"""A/B shares: which version of a model answers when a request names none."""

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

SHARE = re.compile(r"([0-9]{1,19}):([0-9]{1,9})")
MOST_VERSIONS = 20


class SharesError(ValueError):
    """The text states no usable shares."""


@dataclass(frozen=True)
class Shares:
    """The weight of each version, e.g. `{"1": 90, "2": 10}`."""

    weights: Mapping[str, int]

    @classmethod
    def parse(cls, text: str) -> "Shares":
        """Read `version:weight,version:weight`; raise SharesError."""
        weights: dict[str, int] = {}
        for part in text.split(",", MOST_VERSIONS - 1):
            match = SHARE.fullmatch(part.strip())
            if not match or str(int(match[1])) in weights:
                raise SharesError("give each version once with its weight, such as 1:90,2:10")
            weights[str(int(match[1]))] = int(match[2])
        if not sum(weights.values()):
            raise SharesError("at least one version needs a weight above 0")
        return cls(weights)

    def choose(self, loaded: Collection[str] | None, chance: random.Random) -> str:
        """Draw a version by weight, only from `loaded` if given; "" if none is left."""
        weights = {v: w for v, w in self.weights.items() if w and (loaded is None or v in loaded)}
        if not weights:
            return ""
        return chance.choices(list(weights), weights=list(weights.values()))[0]


def parse_version_shares(text: str) -> dict[str, Shares]:
    """Read `model=1:90,2:10;other=3:1`; raise SharesError."""
    shares: dict[str, Shares] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        model, equals, weights = part.partition("=")
        if not equals or not model.strip():
            raise SharesError("give model=version:weight,..., such as vgg16=1:90,2:10")
        if model.strip() in shares:
            raise SharesError(f"give {model.strip()} once, with all its versions")
        shares[model.strip()] = Shares.parse(weights)
    return shares
