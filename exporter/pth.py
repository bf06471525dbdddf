"""Read the weights in a PyTorch checkpoint, without PyTorch and without trust.

Since PyTorch 1.6 such a file is a zip archive: `data.pkl` is the dictionary of tensors, and
`data/<key>` holds the values of each storage. A legacy file is a sequence of pickles (a magic
number, the version, sizes of C types, the dictionary of tensors, the keys of their storages),
followed by each storage: its length, then its values.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from exporter.errors import ExportError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


class _Tensor(NamedTuple):
    """A view of a storage; lengths, offset and strides count elements, not bytes."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: str, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Build dictionaries, numbers and tensors; refuse to look up anything else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weights file")

    def persistent_load(self, pid: Any) -> str:
        kind, dtype, key, _device, _length, *view = pid  # only legacy files have a view
        if kind != "storage" or view not in ([], [None]) or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"a {kind!r} of this kind is not allowed")
        self.dtypes[key] = dtype
        return str(key)


def read_pth(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return every tensor of a checkpoint by name; ExportError if the file is not one."""
    try:
        file = io.BytesIO(path.read_bytes())
        return _read_zip(file) if zipfile.is_zipfile(path) else _read_legacy(file)
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from error
    # What a damaged or hostile pickle raises depends on where it is damaged.
    except Exception as error:
        raise ExportError(
            f"{path} is not a PyTorch checkpoint that holds only tensors ({error});"
            " save model.state_dict()"
        ) from error


def _read_zip(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        root = next((name[: -len("data.pkl")] for name in names if name.endswith("/data.pkl")), "")
        if not root:
            raise ValueError("it has no data.pkl")
        # PyTorch before 2.1 does not write the order: it was the machine's own.
        order = f"{root}byteorder"
        _require_little_endian(order not in names or archive.read(order) == b"little")
        reader = _Unpickler(io.BytesIO(archive.read(f"{root}data.pkl")))
        tensors = reader.load()
        storages = {
            key: np.frombuffer(archive.read(f"{root}data/{key}"), dtype)
            for key, dtype in reader.dtypes.items()
        }
    return _views(tensors, storages)


def _read_legacy(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    if _Unpickler(file).load() != MAGIC or _Unpickler(file).load() != PROTOCOL:
        raise ValueError("the magic number is missing")
    _require_little_endian(_Unpickler(file).load()["little_endian"])
    reader = _Unpickler(file)
    tensors = reader.load()
    storages = {key: _storage(file, reader.dtypes[key]) for key in _Unpickler(file).load()}
    return _views(tensors, storages)


def _require_little_endian(little_endian: bool) -> None:
    if not little_endian:
        raise ValueError("it was written by a big-endian machine")


def _views(
    tensors: dict[str, _Tensor], storages: dict[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    return {name: _view(storages[tensor.storage], tensor) for name, tensor in tensors.items()}


def _storage(file: BinaryIO, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    length = int.from_bytes(file.read(8), "little")
    data = file.read(length * dtype.itemsize)
    return np.frombuffer(data, dtype, count=length)


def _view(storage: npt.NDArray[Any], tensor: _Tensor) -> npt.NDArray[Any]:
    """Return a copy of a tensor; its strides must stay within its storage."""
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if min(numbers) < 0 or len(tensor.shape) != len(tensor.strides):
        raise ValueError("a tensor has an impossible shape")
    last = tensor.offset + sum(
        (n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True)
    )
    if 0 not in tensor.shape and last >= storage.size:
        raise ValueError("a tensor reaches beyond its storage")
    if int(np.prod(tensor.shape)) > storage.size:
        raise ValueError("a tensor is larger than its storage")
    steps = tuple(stride * storage.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, steps)
    return np.array(view)
