"""Where things are: the checkout and the Python of each environment."""

from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
GATEWAY_PYTHON = HOME / ".venv/bin/python"
INFERENCE_PYTHON = HOME / ".venv-inference/bin/python"
