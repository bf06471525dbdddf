"""Triton's entry point: turns encoded pictures into a classifier's input tensors."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Triton 24.10's stub ignores PYTHONPATH.
sys.path.insert(0, os.environ.get("EDGELENS_HOME") or str(Path(__file__).resolve().parents[3]))

import triton_python_backend_utils as pb_utils

from inference.backends.opencv.batch import answers, pictures
from inference.backends.opencv.configuration import Configuration, LoadError
from inference.backends.opencv.decoder import InstanceDecoder


class TritonPythonModel:
    """What Triton's Python backend calls; everything else lives in the modules beside it."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the contract from the model's own configuration."""
        try:
            self._configuration = Configuration.from_json(args["model_config"])
        except LoadError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        self._decoder = InstanceDecoder(self._configuration)
        pb_utils.Logger.log_info(f"{args['model_name']}: decodes to {self._configuration}")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Decode the pictures of all requests of a dynamic batch together."""
        read = [_elements(request, self._configuration.input) for request in requests]
        decoded = self._decoder.decode(pictures(read))
        return [self._response(answer) for answer in answers(read, decoded)]

    def finalize(self) -> None:
        """Let the decoding threads end."""
        self._decoder.close()

    def _response(self, answer: Any) -> Any:
        """Answer one request with its tensor, or with its error."""
        if isinstance(answer, str):
            error = pb_utils.TritonError(answer, pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse([], error)
        return pb_utils.InferenceResponse([pb_utils.Tensor(self._configuration.output, answer)])


def _elements(request: Any, name: str) -> list[Any] | str:
    """Take a request's encoded pictures, or the reason why its BYTES cannot be read."""
    try:
        return list(pb_utils.get_input_tensor_by_name(request, name).as_numpy().ravel())
    except Exception as error:  # the stub raises what its parser meets, a lying length included
        return f"The BYTES of input '{name}' cannot be read ({error})."
