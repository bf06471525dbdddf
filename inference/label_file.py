"""A model's label file: one class per line, in the order of the outputs."""

import hashlib
from collections.abc import Sequence


def label_text(labels: Sequence[str]) -> str:
    """Return the content of the label file with these labels."""
    return "\n".join(labels) + "\n"


def labels_sha256(labels: Sequence[str]) -> str:
    """Return the hexadecimal SHA-256 of the label file with these labels."""
    return hashlib.sha256(label_text(labels).encode()).hexdigest()
