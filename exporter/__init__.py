"""The exporter: weights of a known architecture become a model that Triton can load."""

import os

import inference  # noqa: F401 (from then on, OpenVINO and NNCF report nothing)

# TensorFlow reads these once, when it is imported, and would otherwise tell the user about oneDNN
# and the GPUs this machine does not have. A level that the user has set is kept.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
