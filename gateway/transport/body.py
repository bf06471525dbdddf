"""The body of a request as it arrives: in memory, then in a temporary file, or nowhere."""

import contextlib

from waitress.buffers import OverflowableBuffer


class Body(OverflowableBuffer):  # type: ignore[misc]
    """Waitress's buffer, which can also discard its content and everything that follows.

    A refused body is read but not kept: its sender must get the answer, and not a reset.
    """

    kept = True
    failed: Exception | None = None

    def append(self, s: bytes) -> None:
        """Add what has arrived; a full disk or memory sets `failed` instead of raising."""
        if not self.kept:
            return
        try:
            super().append(s)
        except (OSError, MemoryError) as error:
            self.failed = error
            self.drop()

    def drop(self) -> None:
        """Discard what has arrived and everything that follows."""
        self.kept = False
        with contextlib.suppress(OSError):  # a full disk may fail once more
            self.close()
        self.buf, self.strbuf = None, b""
