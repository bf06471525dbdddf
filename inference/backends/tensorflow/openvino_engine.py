"""Runs a SavedModel with OpenVINO, which reads it without TensorFlow."""

from collections.abc import Mapping
from typing import Any

import openvino as ov

from inference.backends.tensorflow.errors import LoadError, RequestError
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.precision import choose_precision
from inference.backends.tensorflow.task import Array, Task


class OpenVinoEngine:
    """A compiled model and the request that runs it."""

    name = "openvino"

    def __init__(self, task: Task, log: Log) -> None:
        """Compile the signature. Raises LoadError with OpenVINO's reason."""
        if task.signature.strings:
            raise LoadError(
                f"OpenVINO has no strings, and {', '.join(task.signature.strings)} are strings"
            )
        self.precision, source = choose_precision(task)
        core = ov.Core()
        try:
            model = core.read_model(source)
            compiled = core.compile_model(model, "CPU", _settings(task, self.precision))
        except RuntimeError as error:
            raise LoadError(f"OpenVINO cannot compile {source}: {_last(error)}") from error
        self._request = compiled.create_infer_request()
        self._inputs = {t.name: _find(compiled.inputs, t.name) for t in task.signature.inputs}
        self._outputs = {t.name: _find(compiled.outputs, t.name) for t in task.signature.outputs}

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run the model without copying what goes in or comes out. Raises RequestError."""
        feed = {self._inputs[name]: array for name, array in inputs.items()}
        try:
            results = self._request.infer(feed, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise RequestError(_last(error)) from error
        return {name: results[index] for name, index in self._outputs.items()}


def _settings(task: Task, precision: str) -> dict[str, Any]:
    """Name OpenVINO's properties for one request at a time."""
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": task.threads,
        "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
        "CACHE_DIR": str(task.cache),
    }
    return settings


def _find(ports: list[Any], name: str) -> int:
    """Find the position of the port with a name."""
    for position, port in enumerate(ports):
        if name in port.get_names():
            return position
    raise LoadError(f"OpenVINO's model has no tensor '{name}'")


def _last(error: RuntimeError) -> str:
    """Take what OpenVINO says at the end of its message: the reason itself."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
