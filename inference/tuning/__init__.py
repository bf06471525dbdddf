"""Finds the configuration with which a model is fastest on this machine."""

MARK = "# Written by `make tune`"  # how a tuned configuration begins, for all who may replace it
