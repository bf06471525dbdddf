"""The pictures with which an int8 variant is calibrated and compared."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from exporter.errors import ExportError
from gateway.contract import Contract
from gateway.errors import EdgeLensError
from gateway.image import to_tensor

MINIMUM_PICTURES = 20

Tensors = npt.NDArray[np.uint8]


def files_in(directory: Path) -> list[Path]:
    """List a directory's files, in the order of their names. Raises ExportError."""
    try:
        return sorted(path for path in directory.iterdir() if path.is_file())
    except OSError as error:
        raise ExportError(f"cannot read the pictures in {directory}: {error.strerror}") from error


def require_enough(files: Iterable[Path], contract: Contract) -> None:
    """Look for as many pictures as are needed, and then stop. Raises ExportError."""
    _require_enough(len(list(itertools.islice(_tensors(files, contract), MINIMUM_PICTURES))))


def read_pictures(files: Iterable[Path], contract: Contract) -> Tensors:
    """Return the pictures among `files` as the model's input, UINT8 [N,H,W,3], in their order."""
    shown = tqdm(files, desc="reading pictures", disable=None, leave=False)
    tensors = list(_tensors(shown, contract))
    _require_enough(len(tensors))
    return np.stack(tensors)


def _tensors(files: Iterable[Path], contract: Contract) -> Iterator[Tensors]:
    for file in files:
        try:
            yield to_tensor(file.read_bytes(), contract)
        except (EdgeLensError, OSError):
            continue  # a list or a licence beside the pictures, or another user's file


def _require_enough(pictures: int) -> None:
    if pictures < MINIMUM_PICTURES:
        raise ExportError(
            f"calibration and comparison need at least {MINIMUM_PICTURES} pictures (300 work well) "
            f"in the directory itself; it has {pictures}"
        )
