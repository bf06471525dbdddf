"""Takes the tensors out of a Triton request."""

from typing import Any

from inference.backends.tensorflow.errors import RequestError
from inference.backends.tensorflow.task import Array


def read_inputs(request: Any) -> dict[str, Array] | RequestError:
    """Take a request's tensors without copying them, or the reason why they cannot be read."""
    try:
        return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
    except Exception as error:  # whatever Triton's parser raises, the neighbours are answered
        return RequestError(f"the inputs cannot be read: {error}")
