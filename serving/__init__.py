"""What `serve.py` is made of. Only the standard library, so that any Python 3.11 can run it."""
