"""The tensors that both environments must make from the same pictures, as SHA-256."""

import csv
import hashlib

from gateway.image import to_tensor
from tests.photos import DATA
from tests.pictures import CONTRACT

GOLDEN = DATA / "golden_tensors.csv"


def golden() -> dict[str, str]:
    """Return the expected hash of each picture, named relative to tests/data."""
    with GOLDEN.open(newline="") as file:
        return {row["file"]: row["tensor_sha256"] for row in csv.DictReader(file)}


def tensor_hash(name: str) -> str:
    """Return the hash of the tensor that this environment makes."""
    return hashlib.sha256(to_tensor((DATA / name).read_bytes(), CONTRACT).tobytes()).hexdigest()
