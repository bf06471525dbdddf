"""Runs a SavedModel with OpenVINO, which reads it without TensorFlow."""

import contextlib
import gc
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov

from inference.backends.tensorflow.conversion import read_converted
from inference.backends.tensorflow.errors import LoadError, RequestError
from inference.backends.tensorflow.idle import Idle
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.memory import release_mapped, trim
from inference.backends.tensorflow.precision import choose_precision, int8_model, other_precision
from inference.backends.tensorflow.task import Array, Task

# More rows at once are no faster and need as much more memory: VGG16 takes 25 MB a row.
MOST_ROWS = 8


class OpenVinoEngine:
    """A compiled model and the request that runs it."""

    name = "openvino"

    def __init__(self, task: Task, log: Log) -> None:
        """Compile the signature. Raises LoadError with OpenVINO's reason."""
        if task.signature.strings:
            listed = ", ".join(f"'{name}'" for name in task.signature.strings)
            raise LoadError(
                f"OpenVINO has no strings, and the signature's {listed} are TYPE_STRING, which"
                ' engine "tensorflow" can carry'
            )
        self.precision = choose_precision(task)
        self._rows = MOST_ROWS if task.max_batch_size else 0
        self._compiled = _compile(task, self.precision, log)
        self._request = self._compiled.create_infer_request()
        signature = task.signature
        self._inputs = {t.name: _find(self._compiled.inputs, t.name) for t in signature.inputs}
        self._outputs = {t.name: _find(self._compiled.outputs, t.name) for t in signature.outputs}
        self._prime(task)
        self._idle = Idle(self._release)

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run the model without copying what goes in or comes out. Raises RequestError."""
        rows = len(next(iter(inputs.values()))) if self._rows and inputs else 0
        with self._idle.busy(large=rows > 1):
            if rows <= self._rows:
                return self._infer(inputs)
            parts = [
                {n: a.copy() for n, a in self._infer(part).items()}
                for part in _slices(inputs, rows, self._rows)
            ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run one inference; the outputs are views of the engine's own memory."""
        for name, array in inputs.items():
            _check_range(name, array)
        feed = {self._inputs[name]: array for name, array in inputs.items()}
        try:
            results = self._request.infer(feed, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise RequestError(_reason(error)) from error
        return {name: results[index] for name, index in self._outputs.items()}

    def _prime(self, task: Task) -> None:
        """Run once, where all sizes are known: the first inference packs the weights."""
        shapes = {tensor.name: tensor.shape for tensor in task.signature.inputs}
        if all(shape is not None and min(shape[1:], default=1) > 0 for shape in shapes.values()):
            ports = {name: self._compiled.inputs[index] for name, index in self._inputs.items()}
            with contextlib.suppress(RequestError):
                self._infer({
                    name: np.zeros([max(size, 1) for size in shapes[name] or ()],
                                   ports[name].get_element_type().to_dtype())
                    for name in shapes
                })  # fmt: skip
        self._release()

    def _release(self) -> None:
        """Give back what only larger batches, or loading, needed."""
        self._compiled.release_memory()
        gc.collect()
        release_mapped()
        trim()


def _compile(task: Task, precision: str, log: Log) -> Any:
    """Read and compile the model; only the compiled one stays. Raises LoadError."""
    core = ov.Core()
    try:
        if precision == "int8":
            model = core.read_model(int8_model(task.savedmodel))
        else:
            model = read_converted(core, task, precision == "bf16", log)
        return core.compile_model(model, "CPU", _settings(task, precision))
    except (RuntimeError, ValueError) as error:
        raise LoadError(f"OpenVINO cannot run {task.savedmodel}: {_reason(error)}") from error


def _settings(task: Task, precision: str) -> dict[str, Any]:
    """Name OpenVINO's properties for one request at a time, on all of our threads."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": task.threads,
        # What stays unquantised in an int8 model is computed in this.
        "INFERENCE_PRECISION_HINT": other_precision() if precision == "int8" else precision,
    }


def _slices(inputs: Mapping[str, Array], rows: int, most: int) -> list[dict[str, Array]]:
    """Cut a batch into views of at most this many rows."""
    return [
        {name: array[start : start + most] for name, array in inputs.items()}
        for start in range(0, rows, most)
    ]


def _check_range(name: str, array: Array) -> None:
    """Refuse whole numbers that OpenVINO would silently cut to 32 bits. Raises RequestError."""
    if array.dtype.char in "lLqQI" and array.size:
        lowest, highest = int(array.min()), int(array.max())
        if lowest < -(1 << 31) or highest >= 1 << 31:
            raise RequestError(
                f"input '{name}' holds {lowest if lowest < -(1 << 31) else highest}, and OpenVINO"
                ' computes in 32 bits: serve this model with engine "tensorflow"'
            )


def _find(ports: list[Any], name: str) -> int:
    """Find the position of the port with a name."""
    for position, port in enumerate(ports):
        if name in port.get_names():
            return position
    raise LoadError(f"OpenVINO's model has no tensor '{name}'")


def _reason(error: Exception) -> str:
    """Take the reason itself out of OpenVINO's message, which begins with source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (said or lines or [type(error).__name__])[-1]
