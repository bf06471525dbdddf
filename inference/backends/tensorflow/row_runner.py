"""Runs the rows of a batch apart, each on one core.

A core that has a row to itself waits for nobody. If all cores share the rows instead, each layer
ends when the slowest core is done, and that is the one that the gateway needs at that moment. Every
row has the one size the model was compiled for: changing it costs 2 to 3 ms each time.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from inference.backends.tensorflow.compiler import Compiler
from inference.backends.tensorflow.memory import release
from inference.backends.tensorflow.task import Array

# A second copy of weights, and reading them anew for each row, is cheap while they are small.
# EfficientNet-Lite0 (19 MB) makes 1.2 to 1.7 times as many pictures a second, VGG16 no more.
LARGEST_WEIGHTS = 64 << 20  # bytes
QUEUED = 2  # rows queued per core, so that it begins the next one by itself


class RowRunner:
    """Runs a small model, compiled for one row on all cores and again for a row on each core."""

    def __init__(self, compiler: Compiler, cores: int) -> None:
        """Compile. Raises RuntimeError with OpenVINO's reason."""
        compiler.fix_rows(1)
        self._cores = cores
        self._together = compiler.compile(cores, streams=1)
        self._apart = self._together if cores == 1 else compiler.compile(cores, streams=cores)
        self._one_by_one = [self._together.create_infer_request()]
        self._at_once = [self._apart.create_infer_request() for _ in range(QUEUED * cores)]

    @staticmethod
    def suit(compiler: Compiler) -> bool:
        """Tell whether a model is small and stateless, and nothing but its rows varies."""
        stateful = bool(compiler.model.get_variables())  # each request would keep its own
        small = compiler.weights <= LARGEST_WEIGHTS
        return small and not stateful and compiler.only_rows_vary()

    def run(self, feed: Mapping[int, Array], rows: int) -> list[Array]:
        """Run the inputs, by position; return all outputs, in order. Raises RuntimeError."""
        # Rows too few to keep half the cores busy run one after the other, on all cores.
        requests = self._at_once if 2 * rows > self._cores else self._one_by_one
        answers: list[list[Array]] = []
        try:
            for step in range(len(requests) + rows):
                request = requests[step % len(requests)]
                if step >= len(requests):
                    answers.append(_answer(request))
                if step < rows:
                    request.start_async(_row(feed, step), share_inputs=True)
        finally:
            for request in requests:  # none may read the inputs when they are gone
                # A failed one raises its error each time, until it runs another row.
                with contextlib.suppress(RuntimeError):
                    request.wait()
        return [np.concatenate(output) for output in zip(*answers, strict=True)]

    def release(self) -> None:
        """Give back the memory that only loading needed."""
        release(self._together, self._apart)


def _row(feed: Mapping[int, Array], row: int) -> dict[int, Array]:
    return {position: array[row : row + 1] for position, array in feed.items()}


def _answer(request: Any) -> list[Array]:
    """Wait for a row's outputs and copy them: the request's next row will overwrite them."""
    request.wait()
    return [tensor.data.copy() for tensor in request.output_tensors]
