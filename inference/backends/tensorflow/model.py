"""Triton's entry point: serves SavedModels in place of the backend NVIDIA dropped."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Triton 24.10's stub ignores PYTHONPATH.
sys.path.insert(0, os.environ.get("EDGELENS_HOME") or str(Path(__file__).resolve().parents[3]))

import triton_python_backend_utils as pb_utils

from inference.backends.tensorflow.auto_complete import auto_complete
from inference.backends.tensorflow.errors import LoadError, RequestError
from inference.backends.tensorflow.info import register
from inference.backends.tensorflow.inputs import read_inputs
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.task import Array


class TritonPythonModel:
    """What Triton's Python backend calls; everything else lives in the modules beside it."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Complete the configuration from the signature."""
        try:
            auto_complete(config)
        except LoadError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        return config

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the model."""
        # Auto-complete has a process of its own, which need not wait for the engines' libraries.
        from inference.backends.tensorflow.served_model import ServedModel  # noqa: PLC0415

        try:
            self._model = ServedModel.load(args, Log(pb_utils.Logger, args["model_name"]))
        except LoadError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        self._metric = register(pb_utils, self._model.labels(args))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer all requests of a dynamic batch with one inference."""
        inputs = [read_inputs(request) for request in requests]
        answers = self._model.answer(inputs)
        return [_response(*pair) for pair in zip(requests, answers, strict=True)]

    def finalize(self) -> None:
        """Take the metric back: Triton would keep it, and this process would crash as it ends."""
        del self._metric


def _response(request: Any, answer: Mapping[str, Array] | RequestError) -> Any:
    """Answer one request with the outputs it asked for, or with its error."""
    if isinstance(answer, RequestError):
        error = pb_utils.TritonError(str(answer), pb_utils.TritonError.INVALID_ARG)
        return pb_utils.InferenceResponse([], error)
    wanted = request.requested_output_names()
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, answer[name]) for name in wanted])
