"""The exporter: weights of a known architecture become a model that Triton can load."""

import inference  # noqa: F401 (from then on, OpenVINO and NNCF report nothing)
