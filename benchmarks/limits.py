"""The limits of every server: the engine alone and decoding alone, in their environments."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.exports import LITE0, VGG16, WEIGHTS
from benchmarks.places import HOME, PHOTOS
from benchmarks.repositories import FLOAT, PRECISIONS, Repositories
from inference.backends.tensorflow.precision import INT8_MODEL
from serving.processes import GATEWAY_PYTHON, INFERENCE_PYTHON

LONGEST = 300  # seconds


@dataclass(frozen=True)
class Limits:
    """Measure what needs no server."""

    repositories: Repositories
    seconds: float = 1.5

    def engines(self) -> dict[str, dict[str, Any]]:
        """Return the engine's figures by model and precision, for all that are compared."""
        return {
            VGG16: {name: self.engine(VGG16, name) for name in PRECISIONS},
            LITE0: {FLOAT: self.engine(LITE0, FLOAT)},
        }

    def engine(self, model: str, precision: str, *batches: int) -> dict[str, Any]:
        """Measure the engine with one model; int8 models compute unquantised parts in FLOAT."""
        path = self.repositories.saved_model(model)
        if precision == "int8":
            path = path.with_name(INT8_MODEL)
        sizes = ["--batches", *batches] if batches else []
        return _said(
            *(INFERENCE_PYTHON, "-m", "benchmarks.raw", "engine", path, "--precision", FLOAT),
            *("--seconds", self.seconds, *sizes),
        )

    def decoding(self) -> float:
        """Return the median time to turn a photograph into a tensor, in ms."""
        program = (GATEWAY_PYTHON, "-m", "benchmarks.raw", "decode")
        return float(_said(*program, *PHOTOS, "--seconds", self.seconds)["p50_ms"])

    def labels(self, photo: Path) -> dict[str, list[str]]:
        """Return each model's five best labels of a photograph at float32."""
        return {model: self._labels(model, photo) for model in WEIGHTS}

    def _labels(self, model: str, photo: Path) -> list[str]:
        path, names = self.repositories.saved_model(model), self.repositories.labels(model)
        command = (INFERENCE_PYTHON, "-m", "benchmarks.raw", "labels", path, names, photo)
        return _said(*command)["best"]


def _said(*command: object) -> dict[str, Any]:
    """Run a program in the project's directory and return the JSON object on its last line."""
    words = [str(word) for word in command]
    run = subprocess.run(words, cwd=HOME, capture_output=True, text=True, timeout=LONGEST)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(words[1:4])} failed: {run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])
