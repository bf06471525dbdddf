"""Runs a SavedModel with TensorFlow: slower than OpenVINO on CPUs, but it runs everything."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from inference.backends.tensorflow.errors import LoadError, RequestError, reason
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.task import Array, Task


class TensorFlowEngine:
    """A loaded SavedModel and its signature's function."""

    name = "tensorflow"
    precision = "f32"
    mixes_rows = False  # not tried, because a signature may change variables

    def __init__(self, task: Task, log: Log) -> None:
        """Load the signature. Raises LoadError if TensorFlow is missing or refuses it."""
        if task.options.precision not in ("auto", "f32"):
            raise LoadError(
                f'engine "tensorflow" computes in f32: precision "{task.options.precision}"'
                ' needs engine "openvino"'
            )
        self._tf = _import_tensorflow(task)
        self._outputs = [tensor.name for tensor in task.signature.outputs]
        tags = [task.options.tag] if task.options.tag else None
        try:
            # The object owns the variables: without it they would be collected.
            self._model = self._tf.saved_model.load(str(task.savedmodel), tags=tags)
            self._function = self._model.signatures[task.signature.name]
        except Exception as error:
            raise LoadError(f"TensorFlow cannot load {task.savedmodel}: {reason(error)}") from error
        log.info(f"TensorFlow {self._tf.__version__} loaded {task.savedmodel}")

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run the signature. Raises RequestError with TensorFlow's reason."""
        try:
            results = self._function(**{n: self._constant(array) for n, array in inputs.items()})
            return {name: results[name].numpy() for name in self._outputs}
        except self._tf.errors.OpError as error:
            raise RequestError(reason(error)) from error

    def _constant(self, array: Array) -> Any:
        """Make an array TensorFlow's own; bytes objects are strings."""
        if array.dtype == np.object_:
            return self._tf.constant(array.tolist(), self._tf.string, array.shape)
        return self._tf.constant(array)


def _import_tensorflow(task: Task) -> Any:
    """Import TensorFlow and set its threads, once per process. Raises LoadError."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow as tf  # noqa: PLC0415 - takes seconds and is not in the image
    except ImportError as error:
        raise LoadError(
            'it needs TensorFlow, which is not installed here: `pip install "tensorflow-cpu"` into'
            " the environment Triton runs in (the container image leaves it out)"
        ) from error
    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    tf.config.threading.set_inter_op_parallelism_threads(task.options.inter_threads or 1)
    return tf
