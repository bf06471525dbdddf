"""The golden picture: what a model must answer about one picture that travels with it."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.contract import Contract
from gateway.image import to_tensor
from inference.contracts.expectation import sha256
from inference.label_file import labels_sha256

PICTURE = Path(__file__).parent / "data/golden.jpg"


@dataclass(frozen=True)
class Golden:
    """The best label of the golden picture and its probability at float32, by Keras."""

    label: str
    probability: float
    tensor_sha256: str
    labels_sha256: str

    def parameters(self, version: int) -> dict[str, str]:
        """Return the parameters in config.pbtxt about one version, the tensor and all labels."""
        return {
            f"golden_label_v{version}": self.label,
            f"golden_probability_v{version}": f"{self.probability:.6f}",
            "golden_tensor_sha256": self.tensor_sha256,
            "labels_sha256": self.labels_sha256,
        }


def golden_tensor(contract: Contract) -> npt.NDArray[np.uint8]:
    """Return the golden picture as a model's input, UINT8 [H,W,3]."""
    return to_tensor(PICTURE.read_bytes(), contract)


def golden_of(
    tensor: npt.NDArray[np.uint8], probabilities: npt.NDArray[Any], labels: list[str]
) -> Golden:
    """Say what the model answers; `probabilities` [classes] are Keras's for `tensor`."""
    best = int(probabilities.argmax())
    return Golden(labels[best], float(probabilities[best]), sha256(tensor), labels_sha256(labels))


def encoded_picture() -> str:
    """Return the golden picture as config.pbtxt holds it."""
    return base64.b64encode(PICTURE.read_bytes()).decode("ascii")
