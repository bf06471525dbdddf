"""Gathers requests into one inference and splits the answer; one bad request fails alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference.backends.tensorflow.errors import RequestError
from inference.backends.tensorflow.task import Array

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Batcher:
    """Runs requests together where the model has a batch dimension, else one by one."""

    run: Run
    batched: bool

    def answer(self, requests: Sequence[Arrays]) -> list[Arrays | RequestError]:
        """Answer every request, in order: with its outputs or with its own error."""
        groups = _groups(requests, self.batched)
        answers: dict[int, Arrays | RequestError] = {}
        for members in groups:
            group = [requests[index] for index in members]
            found = self._answer_group(group, last=len(groups) == 1)
            answers.update(zip(members, found, strict=True))
        return [answers[index] for index in range(len(requests))]

    def _answer_group(self, requests: list[Arrays], last: bool) -> list[Arrays | RequestError]:
        """Run one group at once; if that fails, run each request alone to find the bad one.

        The answers are views of the engine's own memory if this is the `last` inference.
        """
        try:
            answers = self._run_together(requests)
            return list(answers if last else map(_copied, answers))
        except RequestError as error:
            if len(requests) == 1:
                return [error]
        return [answer for one in requests for answer in self._answer_group([one], last=False)]

    def _run_together(self, requests: Sequence[Arrays]) -> list[Arrays]:
        """Run one inference for all; the answers are views of its outputs."""
        if len(requests) == 1:
            return [self.run(requests[0])]
        names = requests[0]
        outputs = self.run({n: np.concatenate([r[n] for r in requests]) for n in names})
        sizes = [len(next(iter(request.values()))) for request in requests]
        _check_rows(outputs, sum(sizes))
        ends = np.cumsum(sizes)
        return [
            {name: array[end - size : end] for name, array in outputs.items()}
            for size, end in zip(sizes, ends, strict=True)
        ]


def _copied(answer: Arrays) -> Arrays:
    """Take an answer out of the engine's memory, which the next inference will overwrite."""
    return {name: array.copy() for name, array in answer.items()}


def _check_rows(outputs: Arrays, rows: int) -> None:
    """Refuse outputs that do not have one row per input row: they cannot be split."""
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != rows:
            raise RequestError(
                f"output '{name}' has shape {list(array.shape)} for a batch of {rows}"
            )


def _groups(requests: Sequence[Arrays], batched: bool) -> list[list[int]]:
    """Group the indices of requests that can run together: same shapes except for the rows."""
    if not batched:
        return [[index] for index in range(len(requests))]
    groups: dict[object, list[int]] = {}
    for index, request in enumerate(requests):
        key = tuple((name, array.shape[1:], array.dtype.str) for name, array in request.items())
        groups.setdefault(key, []).append(index)
    return list(groups.values())
