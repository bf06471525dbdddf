"""Small models on Triton's own Python backend, which crash, hang and fail when asked to."""

from pathlib import Path

ECHO = """
import os
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        tensor = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
        if tuple(tensor[0, :2]) == (255, 254):
            command = tensor[0, 2]
            if command == 1:
                os.kill(os.getpid(), 9)
            if command == 2:
                time.sleep(3600)
            if command == 3:
                raise RuntimeError("on purpose")
            if command == 4:
                open(os.path.join(os.path.dirname(__file__), "slow"), "w").close()
                time.sleep(1)
        return pb_utils.InferenceResponse([pb_utils.Tensor("answer", tensor)])
"""

# The process that completes its configuration is killed while Triton waits for it, but only once.
ENDS_ONCE = ECHO.replace(
    "    def execute",
    """    @staticmethod
    def auto_complete_config(config):
        mark = os.path.join(os.path.dirname(__file__), "ended")
        if not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), 9)
        return config

    def execute""",
)

# The same, but as late as in a process that has libraries to import.
ENDS_LATE = ENDS_ONCE.replace("open(mark,", "time.sleep(3)\n            open(mark,")

# Waits at the same point until it is killed. (Triton notices a kill in `initialize`.)
NEVER_CONFIGURED = ECHO.replace(
    "    def execute",
    """    @staticmethod
    def auto_complete_config(config):
        signal.pause()

    def execute""",
).replace("import os", "import os\nimport signal")

PICKY = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        raise RuntimeError("never satisfied")
"""

CRASH, HANG, FAIL, SLOW = 1, 2, 3, 4

CONFIG = """
backend: "python"
max_batch_size: 8
input [{ name: "image" data_type: TYPE_UINT8 dims: [4] }]
output [{ name: "answer" data_type: TYPE_UINT8 dims: [4] }]
instance_group [{ count: 1 kind: KIND_CPU }]
dynamic_batching {}
"""

CACHED = CONFIG + "response_cache { enable: true }"

ENSEMBLE = """
platform: "ensemble"
max_batch_size: 8
input [{ name: "image" data_type: TYPE_UINT8 dims: [4] }]
output [{ name: "answer" data_type: TYPE_UINT8 dims: [4] }]
ensemble_scheduling { step [{
  model_name: "echo"
  model_version: -1
  input_map { key: "image" value: "image" }
  output_map { key: "answer" value: "answer" }
}] }
"""


def add_model(repository: Path, name: str, config: str = CONFIG, code: str = ECHO) -> Path:
    """Write a model with one version; returns its directory."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(config)
    if code:
        (version / "model.py").write_text(code)
    return version.parent
