"""The model repositories that are measured: one for each model and precision."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.exports import WEIGHTS
from benchmarks.places import KEPT
from gateway.model_names import companions
from inference.backends.tensorflow.location import SAVED_MODEL
from inference.backends.tensorflow.precision import INT8_MODEL, INT8_WEIGHTS, float_precision

FLOAT = float_precision()  # bf16 or f32: what EdgeLens itself chooses on this processor
PRECISIONS = (FLOAT, "int8")


@dataclass(frozen=True)
class Repositories:
    """Repositories of links into the exported models."""

    exported: Path
    root: Path = KEPT / "repositories"

    def lay_out(self) -> None:
        """Create all repositories; each configures its own precision."""
        shutil.rmtree(self.root, ignore_errors=True)
        for model in WEIGHTS:
            for precision in PRECISIONS:
                self._lay_out(model, precision)

    def of(self, model: str, precision: str) -> Path:
        """Return the path of a repository, which also has a model's companions."""
        return self.root / f"{model}-{precision}"

    def saved_model(self, model: str) -> Path:
        """Return the path of the SavedModel; the int8 variant is beside it."""
        return self.exported / model / "1" / SAVED_MODEL

    def labels(self, model: str) -> Path:
        """Return the path of a model's label file."""
        return self.exported / model / "labels.txt"

    def weight_bytes(self, model: str, precision: str) -> int:
        """Return the size of a model's weights at a precision."""
        if precision == "int8":
            return (self.exported / model / "1" / INT8_WEIGHTS).stat().st_size
        data = self.saved_model(model).glob("variables/variables.data-*")
        return sum(path.stat().st_size for path in data) // (2 if precision == "bf16" else 1)

    def _lay_out(self, model: str, precision: str) -> None:
        repository, source = self.of(model, precision), self.exported / model
        version = repository / model / "1"
        version.mkdir(parents=True)
        config = (source / "config.pbtxt").read_text()
        wanted = config.replace('string_value: "auto"', f'string_value: "{precision}"')
        (repository / model / "config.pbtxt").write_text(wanted)
        shutil.copy(source / "labels.txt", repository / model)
        (version / SAVED_MODEL).symlink_to(self.saved_model(model))
        if precision == "int8":
            for name in (INT8_MODEL, INT8_WEIGHTS):
                (version / name).symlink_to(source / "1" / name)
        for name in companions(model):
            shutil.copytree(self.exported / name, repository / name)
