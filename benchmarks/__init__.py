"""Compares EdgeLens with its peers, the engine's limit and itself, in one run on one machine."""
