"""Checkpoints as PyTorch writes them, without PyTorch."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


class Storage:
    """Stands in for torch.FloatStorage: pickled by that name, and by reference where it is used."""


Storage.__module__, Storage.__qualname__, Storage.__name__ = "torch", "FloatStorage", "FloatStorage"


class Call:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.module, self.name, self.arguments = module, name, arguments


class Reference:
    """Pickles as a persistent reference."""

    def __init__(self, pid: object) -> None:
        self.pid = pid


def opcodes(value: object) -> bytes:
    """Pickle in protocol 2, without the checks of Python's own pickler."""
    if isinstance(value, Call):
        arguments = b"".join(opcodes(a) for a in value.arguments)
        return f"c{value.module}\n{value.name}\n".encode() + b"(" + arguments + b"tR"
    if isinstance(value, Reference):
        return opcodes(value.pid) + b"Q"
    if isinstance(value, type):
        return b"ctorch\nFloatStorage\n"
    if isinstance(value, tuple):
        return b"(" + b"".join(opcodes(v) for v in value) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(opcodes(k) + opcodes(v) for k, v in value.items()) + b"u"
    return pickle.dumps(value, 2)[2:-1]


def write_pth(path: Path, arrays: Mapping[str, np.ndarray], byte_order: str = "little") -> Path:
    """Write a checkpoint as PyTorch does since 1.6: a zip archive whose references have no view."""
    with zipfile.ZipFile(path, "w") as file:
        tensors = {}
        for key, (name, array) in enumerate(arrays.items()):
            values = array.astype("<f4", order="C")
            file.writestr(f"archive/data/{key}", values.tobytes())
            reference = Reference(("storage", Storage, str(key), "cpu", values.size))
            strides = tuple(stride // values.itemsize for stride in values.strides)
            rebuilt = (reference, 0, values.shape, strides, False, {})
            tensors[name] = Call("torch._utils", "_rebuild_tensor_v2", *rebuilt)
        file.writestr("archive/data.pkl", b"\x80\x02" + opcodes(tensors) + b".")
        file.writestr("archive/byteorder", byte_order)
    return path
