"""What stops a model from being loaded, or one request from being answered."""

# How the lines without a reason begin: source files and advice (OpenVINO), nodes and a headline
# (TensorFlow).
NOISE = ("Exception from", "Check '", "To facilitate", "[[", "Graph execution error")


class LoadError(Exception):
    """A model that cannot be served; the message says why and what to do."""


class RequestError(Exception):
    """A request that cannot be answered; its neighbours in the batch can."""


def reason(error: Exception) -> str:
    """Return what an engine says is wrong: the last line of its message that is not noise."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(NOISE)]
    return (said or lines or [type(error).__name__])[-1]
