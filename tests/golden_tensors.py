"""The tensors that both environments must make from the same pictures, as SHA-256."""

import csv
import hashlib

from gateway.contract import Contract
from gateway.image import to_tensor
from tests.photos import DATA

GOLDEN = DATA / "golden_tensors.csv"
CONTRACT = Contract(224, 224, 256, "center", "cubic", "RGB", "0-255")


def golden() -> dict[str, str]:
    """Return the expected hash of each picture, named relative to tests/data."""
    with GOLDEN.open(newline="") as file:
        return {row["file"]: row["tensor_sha256"] for row in csv.DictReader(file)}


def tensor_hash(name: str) -> str:
    """Return the hash of the tensor that this environment makes."""
    return hashlib.sha256(to_tensor((DATA / name).read_bytes(), CONTRACT).tobytes()).hexdigest()
