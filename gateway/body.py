"""The body of a request as it arrives: in memory, then in a temporary file, or nowhere."""

import contextlib
import logging
import tempfile

from waitress.buffers import OverflowableBuffer

logger = logging.getLogger(__name__)


class Body(OverflowableBuffer):  # type: ignore[misc]
    """Waitress's buffer, which can also forget what it holds and what follows.

    A refused body is read on, so that its sender meets the answer and no reset, but takes no room.
    """

    kept = True
    failed = False

    def append(self, s: bytes) -> None:
        """Add what has arrived; a full disk or memory is remembered in `failed`, not raised."""
        if not self.kept:
            return
        try:
            super().append(s)
        except (OSError, MemoryError) as error:
            logger.error("a request cannot be kept in %s: %s", tempfile.gettempdir(), error)
            self.failed = True
            self.drop()

    def drop(self) -> None:
        """Forget what has arrived, and whatever follows."""
        self.kept = False
        with contextlib.suppress(OSError):  # a full disk may fail once more
            self.close()
        self.buf, self.strbuf = None, b""
