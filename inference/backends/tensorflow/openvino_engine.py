"""Runs a SavedModel with OpenVINO, which reads it without TensorFlow."""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from inference.backends.tensorflow.batch_runner import BatchRunner
from inference.backends.tensorflow.compiler import Compiler
from inference.backends.tensorflow.errors import LoadError, RequestError, reason
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.mixing import mixes_rows
from inference.backends.tensorflow.precision import choose_precision
from inference.backends.tensorflow.row_runner import RowRunner
from inference.backends.tensorflow.task import Array, Task


class OpenVinoEngine:
    """A compiled model, its rows run together or apart."""

    name = "openvino"
    mixes_rows = False  # unless it is found to do so

    def __init__(self, task: Task, log: Log) -> None:
        """Compile the signature. Raises LoadError with OpenVINO's reason."""
        if task.signature.strings:
            listed = ", ".join(f"'{name}'" for name in task.signature.strings)
            raise LoadError(
                f"OpenVINO has no strings, but the signature's {listed} are TYPE_STRING: serve"
                ' this model with engine "tensorflow"'
            )
        self.precision = choose_precision(task)
        self._batched = task.max_batch_size > 0
        try:
            compiler = Compiler.read(task, self.precision, log)
            compiler.keep_outputs({tensor.name for tensor in task.signature.outputs})
            self._inputs = _positions(compiler.model.inputs, task.signature.inputs)
            self._outputs = _positions(compiler.model.outputs, task.signature.outputs)
            self._types = [port.get_element_type().to_dtype() for port in compiler.model.inputs]
            self._model = self._compiled(compiler, task)
        except (OSError, RuntimeError, ValueError) as error:
            raise LoadError(f"OpenVINO cannot run {task.savedmodel}: {reason(error)}") from error
        self._prime(task)

    def _compiled(self, compiler: Compiler, task: Task) -> BatchRunner | RowRunner:
        """Compile for rows apart or together; find out whether they depend on each other."""
        suits_apart = self._batched and RowRunner.suit(compiler)
        is_tried = task.max_batch_size > 1 and not task.options.has_contract
        if suits_apart and not is_tried:
            return RowRunner(compiler, task.threads)
        compiled = compiler.compile(task.threads, streams=1)
        self.mixes_rows = is_tried and mixes_rows(compiled, self.precision)
        if suits_apart and not self.mixes_rows:
            return RowRunner(compiler, task.threads)
        return BatchRunner(compiled, may_be_cut=not self.mixes_rows)

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run the model without copying what goes in. Raises RequestError."""
        for name, array in inputs.items():
            _check_range(name, array)
        rows = len(next(iter(inputs.values()))) if self._batched and inputs else 0
        feed = {self._inputs[name]: array for name, array in inputs.items()}
        try:
            outputs = self._model.run(feed, rows)
        except RuntimeError as error:
            raise RequestError(reason(error)) from error
        return {name: outputs[position] for name, position in self._outputs.items()}

    def _prime(self, task: Task) -> None:
        """Run once, where all sizes are known: the first inference packs the weights."""
        shapes = {tensor.name: tensor.shape for tensor in task.signature.inputs}
        if all(shape is not None and min(shape[1:], default=1) > 0 for shape in shapes.values()):
            with contextlib.suppress(RequestError):
                self.run({
                    name: np.zeros([max(size, 1) for size in shapes[name] or ()],
                                   self._types[self._inputs[name]])
                    for name in shapes
                })  # fmt: skip
        self._model.release()


def _check_range(name: str, array: Array) -> None:
    """Refuse whole numbers that OpenVINO would silently cut to 32 bits. Raises RequestError."""
    if array.dtype.char in "lLqQI" and array.size:
        lowest, highest = int(array.min()), int(array.max())
        if lowest < -(1 << 31) or highest >= 1 << 31:
            raise RequestError(
                f"input '{name}' holds {lowest if lowest < -(1 << 31) else highest}, but OpenVINO"
                ' computes in 32 bits: serve this model with engine "tensorflow"'
            )


def _positions(ports: list[Any], tensors: tuple[Any, ...]) -> dict[str, int]:
    """Find the position of each tensor's port by its name. Raises LoadError."""
    found = {name: position for position, port in enumerate(ports) for name in port.get_names()}
    for tensor in tensors:
        if tensor.name not in found:
            raise LoadError(
                f"OpenVINO's model has no tensor '{tensor.name}', as happens if an output is"
                " constant: in config.pbtxt, name only the outputs that are needed"
            )
    return {tensor.name: found[tensor.name] for tensor in tensors}
