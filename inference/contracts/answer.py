"""What a server says about one picture."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """The classes by falling probability; `labels` and `scores` are by class index."""

    version: str
    best: int
    scores: Mapping[int, float]
    labels: Mapping[int, str]

    @classmethod
    def from_strings(cls, rows: Iterable[bytes], version: str) -> "Answer":
        """Read Triton's classification strings, `score:index[:label]`, the best first."""
        scores, labels = {}, {}
        for row in rows:
            score, index, *label = row.decode(errors="replace").split(":", 2)
            scores[int(index)] = float(score)
            if label:
                labels[int(index)] = label[0]
        return cls(version, next(iter(scores)), scores, labels)

    @property
    def label(self) -> str:
        """Return the best class's label, empty if the server has none."""
        return self.labels.get(self.best, "")

    @property
    def probability(self) -> float:
        """Return the best class's probability."""
        return self.scores[self.best]

    @property
    def has_nan(self) -> bool:
        """Tell whether a probability is not a number; comparisons would not notice it."""
        return any(map(math.isnan, self.scores.values()))

    def score(self, label: str) -> float:
        """Return the probability of the class with a label, 0 if there is none."""
        return next((self.scores[i] for i, text in self.labels.items() if text == label), 0.0)

    def distance(self, other: "Answer") -> float:
        """Return the largest difference of a class's probability."""
        return max(abs(score - other.scores.get(i, 0.0)) for i, score in self.scores.items())

    def __str__(self) -> str:
        """Spell it for a report."""
        return f"'{self.label or f'class {self.best}'}' ({self.probability:.4f})"
