"""Decode pictures in parallel: over all requests, at most one per core at a time."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from gateway.contract import Contract
from gateway.cpus import available_cpus
from gateway.deadline import Deadline
from gateway.errors import DeadlineExceeded, EdgeLensError
from gateway.image import Limits, to_tensor
from gateway.triton import Tensor
from gateway.uploads import Picture

Decoded = Tensor | EdgeLensError


class Decoder:
    """Turn uploads into tensors; OpenCV frees the GIL, so the cores share the work.

    All requests share one limit on the pictures decoded at once, which also limits the memory.
    """

    def __init__(self, limits: Limits, cores: int | None = None) -> None:
        self._limits = limits
        cores = cores or available_cpus()
        self._slots = threading.BoundedSemaphore(cores)
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="decode")

    def decode(
        self, pictures: Sequence[Picture], contract: Contract, deadline: Deadline
    ) -> Iterator[Decoded]:
        """Yield a UINT8 [H,W,3] tensor or the picture's own error, in the order given."""

        def one(picture: Picture) -> Decoded:
            if picture.error:
                return picture.error
            with self._slot(deadline):
                try:
                    return to_tensor(picture.data, contract, self._limits)
                except EdgeLensError as error:
                    # Its traceback would keep the picture's bytes alive as long as the error.
                    return error.with_traceback(None)

        # One picture needs no second thread: handing it over would cost more than it gains.
        return map(one, pictures) if len(pictures) == 1 else self._pool.map(one, pictures)

    @contextlib.contextmanager
    def _slot(self, deadline: Deadline) -> Iterator[None]:
        """Hold one of the cores; wait for it no longer than the deadline allows."""
        held = self._slots.acquire(timeout=max(0.0, deadline.remaining()))
        try:
            deadline.check()
            if not held:
                raise DeadlineExceeded("Other pictures used up the time; try again later.")
            yield
        finally:
            if held:
                self._slots.release()

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
