"""Where things are: the checkout and the Python of each environment."""

from inference.settings import HOME
from serving.processes import GATEWAY_PYTHON, INFERENCE_PYTHON

__all__ = ["GATEWAY_PYTHON", "HOME", "INFERENCE_PYTHON"]
