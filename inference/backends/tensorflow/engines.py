"""The engines that can run a SavedModel, and which of them runs this one."""

from collections.abc import Mapping
from typing import Protocol

from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.openvino_engine import OpenVinoEngine
from inference.backends.tensorflow.task import Array, Task
from inference.backends.tensorflow.tensorflow_engine import TensorFlowEngine


class Engine(Protocol):
    """Runs one signature at one precision."""

    @property
    def name(self) -> str:
        """Name the engine: `openvino` or `tensorflow`."""

    @property
    def precision(self) -> str:
        """Name what it computes in: `f32`, `bf16` or `int8`."""

    @property
    def mixes_rows(self) -> bool:
        """Tell whether the answer for a row depends on the other rows of its batch."""

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Map the signature's inputs to its outputs, which are valid until the next call."""


def load_engine(task: Task, log: Log) -> Engine:
    """Load the engine asked for; `auto` is OpenVINO, and TensorFlow for what OpenVINO cannot run.

    Raises LoadError with the reason of every engine that was tried.
    """
    if task.options.engine == "tensorflow":
        return TensorFlowEngine(task, log)
    try:
        return OpenVinoEngine(task, log)
    except LoadError as error:
        if task.options.engine == "openvino":
            raise
        log.info(f"falls back to TensorFlow: {error}")
        return _fall_back(task, log, error)


def _fall_back(task: Task, log: Log, reason: LoadError) -> Engine:
    """Load TensorFlow instead; if that fails too, the error gives both reasons."""
    try:
        return TensorFlowEngine(task, log)
    except LoadError as error:
        raise LoadError(f"{reason}; falling back failed too: {error}") from error
