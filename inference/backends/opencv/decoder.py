"""Decodes many pictures at once; a broken one yields its own error."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from gateway.cpus import available_cpus
from gateway.errors import EdgeLensError
from gateway.image import Pixels, to_tensor
from inference.backends.opencv.configuration import Configuration

Decoded = Pixels | str


class InstanceDecoder:
    """Turns encoded pictures into tensors with this instance's share of the processors."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        threads = max(1, available_cpus() // configuration.instances)
        self._pool = ThreadPoolExecutor(threads, "decode") if threads > 1 else None

    def decode(self, pictures: Sequence[bytes]) -> list[Decoded]:
        """Give each picture's UINT8 [H,W,3], or one sentence that says what is wrong with it."""
        if self._pool is None or len(pictures) == 1:
            return [self._one(picture) for picture in pictures]
        return list(self._pool.map(self._one, pictures))

    def close(self) -> None:
        """Let the threads end."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, picture: bytes) -> Decoded:
        try:
            return to_tensor(picture, self._configuration.contract, self._configuration.limits)
        except EdgeLensError as error:
            return error.message
        except Exception as error:  # its neighbours in the batch must not fail with it
            return f"This picture cannot be decoded ({type(error).__name__})."
