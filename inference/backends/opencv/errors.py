"""What stops a decoder from being loaded."""


class LoadError(Exception):
    """A configuration that cannot be followed; the message says what to change."""
