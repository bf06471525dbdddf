"""Keeps Triton inferring: real inferences find what is broken, and only that is restarted."""
