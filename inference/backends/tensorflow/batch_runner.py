"""Runs the rows of a batch together, on all cores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from inference.backends.tensorflow.idle import Idle
from inference.backends.tensorflow.memory import release
from inference.backends.tensorflow.task import Array

# More rows at once are no faster, but each takes more memory: VGG16 takes 25 MB per row.
MOST_ROWS = 8


class BatchRunner:
    """Runs a compiled model of any size, whose inputs may have different sizes each time."""

    def __init__(self, compiled: Any, may_be_cut: bool) -> None:
        """Prepare to run what `Compiler.compile` made, in parts if batches `may_be_cut`."""
        self._compiled, self._may_be_cut = compiled, may_be_cut
        self._request = compiled.create_infer_request()
        self._idle = Idle(self.release)

    def run(self, feed: Mapping[int, Array], rows: int) -> list[Array]:
        """Run the inputs, by position; 0 `rows` if there is no such dimension.

        The outputs may be views of the engine's own memory. Raises RuntimeError.
        """
        with self._idle.busy(large=rows > 1):
            if rows <= MOST_ROWS or not self._may_be_cut:
                return self._infer(feed)
            starts = range(0, rows, MOST_ROWS)
            parts = [self._infer(_cut(feed, start), copied=True) for start in starts]
        return [np.concatenate(output) for output in zip(*parts, strict=True)]

    def release(self) -> None:
        """Give back the memory that only larger batches, or loading, needed."""
        release(self._compiled)

    def _infer(self, feed: Mapping[int, Array], copied: bool = False) -> list[Array]:
        results = self._request.infer(feed, share_inputs=True, share_outputs=not copied)
        return [results[position] for position in range(len(results))]


def _cut(feed: Mapping[int, Array], start: int) -> dict[int, Array]:
    """Take at most MOST_ROWS rows out of a batch, without copying them."""
    return {position: array[start : start + MOST_ROWS] for position, array in feed.items()}
