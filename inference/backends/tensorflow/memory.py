"""Gives back memory that was needed only while a model was loaded."""

import contextlib
import ctypes
import gc
from pathlib import Path
from typing import Any

MADV_DONTNEED = 4
WEIGHT_FILES = (".bin", ".data-00000-of-00001")


def release(*models: Any) -> None:
    """Give back what compiled models needed for larger batches, or to load; none may run now."""
    for model in models:
        model.release_memory()
    gc.collect()
    release_mapped()
    trim()


def release_mapped() -> None:
    """Drop the pages of mapped weights: the engine keeps its own, packed for this CPU.

    They are clean and read-only: one that is needed again is read from the file.
    """
    libc = ctypes.CDLL(None)
    for start, end in _mapped():
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)


def trim() -> None:
    """Return freed heap memory to the system, where the C library can."""
    with contextlib.suppress(AttributeError):  # musl has no malloc_trim
        ctypes.CDLL(None).malloc_trim(0)


def _mapped() -> list[tuple[int, int]]:
    """List the address ranges of read-only mappings of weight files."""
    ranges = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[1].startswith("r--") and parts[5].endswith(WEIGHT_FILES):
            start, end = parts[0].split("-")
            ranges.append((int(start, 16), int(end, 16)))
    return ranges
