"""The directory where a launcher leaves its log and the admin key."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inference.errors import LaunchError
from inference.locking import locked


@contextmanager
def runtime_directory(path: Path) -> Iterator[Path]:
    """Make the directory and keep other launchers out: they would overwrite the log and the key.

    Raises LaunchError.
    """
    with ExitStack() as stack:
        try:
            path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path))
        except BlockingIOError:
            raise LaunchError(
                f"Another Triton keeps its log and its key in {path}:"
                " stop it, or set EDGELENS_RUNTIME_DIR to another directory."
            ) from None
        except OSError as exc:
            raise LaunchError(
                f"Cannot make {path} ({exc.strerror}):"
                " set EDGELENS_RUNTIME_DIR to a directory you can write to."
            ) from None
        yield path
