"""Removes what ended runs left in shared memory and in the temporary directory."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from inference.tritonserver.identity import Run
from inference.tritonserver.processes import kill_stubs_of, stubs

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- where POSIX shared memory is
ENOUGH = 64 << 20  # bytes, what a container gets by default; each process takes 1 MB and its batch


def remove_segments(run: Run, shared_memory: Path = SHARED_MEMORY) -> None:
    """Remove the shared-memory segments of one run."""
    for path in _segments(run, shared_memory):
        _remove(path)


def close_segments(run: Run, shared_memory: Path = SHARED_MEMORY) -> None:
    """Let nobody else read what clients sent: Triton makes its segments readable by all."""
    for path in _segments(run, shared_memory):
        with contextlib.suppress(OSError):  # it vanished meanwhile
            path.chmod(0o600)


def leaked(run: Run, shared_memory: Path = SHARED_MEMORY) -> int:
    """Count the bytes of segments whose stubs are dead; Triton keeps them mapped."""
    used = {argument for arguments in stubs(run).values() for argument in arguments}
    total = 0
    for path in _segments(run, shared_memory):
        if path.name not in used:
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
    return total


def bearable(shared_memory: Path = SHARED_MEMORY) -> int:
    """Say how many leaked bytes can stay: a quarter of the shared memory."""
    return shutil.disk_usage(shared_memory).total // 4 if shared_memory.is_dir() else 0


def shortage(caching: bool, enough: int = ENOUGH, shared_memory: Path = SHARED_MEMORY) -> str:
    """Say in one line what it costs that little shared memory is free; "" if it is enough.

    It costs more while Triton is `caching` responses.
    """
    free = shutil.disk_usage(shared_memory).free if shared_memory.is_dir() else 0
    if free >= enough:
        return ""
    repeated = ", and Triton's response cache answers them with nothing when they are repeated"
    return (
        f"Only {free >> 20} MB are free in {shared_memory}; {enough >> 20} MB are advisable. When"
        f" it is full, requests fail{repeated if caching else ''}. Make room (a container's"
        f" shm_size, or `mount -o remount,size=256m {shared_memory}`)"
        f"{', or set TRITON_CACHE_BYTES=0' if caching else ''}."
    )


def sweep(shared_memory: Path = SHARED_MEMORY, temporary: Path | None = None) -> None:
    """Remove what runs that were killed left behind."""
    temporary = temporary or Path(tempfile.gettempdir())
    for path in [*shared_memory.glob("edgelens_*"), *temporary.glob("edgelens_*")]:
        run = Run.from_name(path.name)
        if run and run.is_gone():
            kill_stubs_of(run)
            _remove(path)


def _segments(run: Run, shared_memory: Path) -> list[Path]:
    return list(shared_memory.glob(f"{run.prefix}*"))


def _remove(path: Path) -> None:
    """Remove a file or a tree; another user's stays, and so does what vanished meanwhile."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
