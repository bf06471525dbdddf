"""A stand-in classifier for Triton's Python backend: it sleeps as long as a slow model computes."""

import json
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Answers ten fixed probabilities after a nap that costs no processor time."""

    def initialize(self, args: dict) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self._nap = float(parameters["nap_seconds"]["string_value"])

    def execute(self, requests: list) -> list:
        time.sleep(self._nap)
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        count = pb_utils.get_input_tensor_by_name(request, "image").as_numpy().shape[0]
        probabilities = np.tile(np.linspace(0.19, 0.01, 10, dtype=np.float32), (count, 1))
        tensor = pb_utils.Tensor("probabilities", probabilities)
        return pb_utils.InferenceResponse(output_tensors=[tensor])
