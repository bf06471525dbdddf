"""Triton's classification strings, turned into predictions."""

import re
from dataclasses import dataclass
from typing import Any

from gateway.errors import InferenceFailed

ROUNDING = 0.01  # by how much low precision may exceed the range of probabilities
BOM = "\ufeff"  # how some editors begin a file
WNID = re.compile(r"(n\d{8}) (.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One label with its probability, 0..1; `wnid` is None for labels outside WordNet."""

    wnid: str | None
    label: str
    probability: float

    def as_json(self) -> dict[str, Any]:
        """Return the prediction as the API shows it."""
        return {"wnid": self.wnid, "label": self.label, "probability": self.probability}


def parse_classification(text: str) -> Prediction:
    """Read `score:index:label`, the label being `<wnid> <name>`, any text, or missing.

    Raises InferenceFailed for a score that is not a probability: NaN, or a logit.
    """
    score, _, rest = text.partition(":")
    probability = float(score)
    if not -ROUNDING <= probability <= 1 + ROUNDING:
        raise InferenceFailed(
            "The model's answer for this picture is not a probability; a model must end in a"
            " softmax or a sigmoid.",
            said=f"It answers {probability:g}.",
        )
    index, _, line = rest.partition(":")
    label = line.removeprefix(BOM).strip()  # Triton keeps the \r of Windows' line ends
    match = WNID.fullmatch(label)
    wnid, name = (match[1], match[2]) if match else (None, label or index)
    return Prediction(wnid, name, min(1.0, max(0.0, probability)))
