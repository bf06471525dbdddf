"""The parts of `serve.py`. They need only the standard library, so any Python 3.11 can run it."""
