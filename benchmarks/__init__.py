"""Compares EdgeLens with its peers, the engine's limit and itself, in one run on one machine."""

import inference  # noqa: F401 (from then on, OpenVINO reports nothing, in peers neither)
