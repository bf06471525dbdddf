"""Keeps SavedModels as OpenVINO's own files, so that the next start need not convert them.

An entry is a directory that appears complete, by one rename, so simultaneous starts are safe. Its
checksum shows whether an entry is damaged; it is then made again. An entry that no start has used
for a month is removed when another is written, so replaced models do not fill the disk.
"""

import contextlib
import hashlib
import shutil
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.staging import staged
from inference.backends.tensorflow.task import Array, Task

FORMAT = "3"  # to be raised with every change of what is written into an entry
MODEL, CHECKSUM = "model.xml", "checksum"
CHUNK = 1 << 22
WITH_BODIES = ("If", "Loop", "TensorIterator")
HALF_MAX = float(np.finfo(np.float16).max)
ABANDONED_SECONDS = 3600.0
UNUSED_SECONDS = 30 * 24 * 3600.0


def read_converted(core: Any, task: Task, half: bool, log: Log) -> Any:
    """Read the converted model, its weights mapped; `half` keeps them in 16 bits if they fit.

    Without a usable cache directory, the model is converted for this start only.
    """
    entry = task.cache / _key(task, half)
    with contextlib.suppress(OSError, RuntimeError):
        if _is_sound(entry):
            model = core.read_model(entry / MODEL)
            _mark_used(entry)
            return model
    with staged(task.savedmodel, task.signature.name, task.options.tag) as directory:
        model = core.read_model(directory)
        try:
            _store(model, entry, half)
            stored = core.read_model(entry / MODEL)
        except (OSError, RuntimeError) as error:
            log.warn(f"cannot keep the converted model in {task.cache}: {error}")
            return model
    log.info(f"converted {task.savedmodel} into {entry}")
    return stored


def _key(task: Task, half: bool) -> str:
    """Name the entry by what the result depends on; the index holds every weight's checksum."""
    digest = hashlib.sha256()
    for part in (ov.__version__, FORMAT, task.signature.name, task.options.tag, str(half)):
        digest.update(part.encode() + b"\0")
    digest.update((task.savedmodel / "saved_model.pb").read_bytes())
    index = task.savedmodel / "variables" / "variables.index"
    if index.is_file():
        digest.update(index.read_bytes())
    return digest.hexdigest()[:32]


def _store(model: Any, entry: Path, half: bool) -> None:
    """Write an entry beside its place and move it there. Raises OSError or RuntimeError."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    _sweep(entry.parent)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=entry.parent) as name:
        made = Path(name) / "entry"
        made.mkdir()
        ov.save_model(model, made / MODEL, compress_to_fp16=half and _fits_half(model))
        (made / CHECKSUM).write_text(_checksum(made))
        if entry.exists() and not _is_sound(entry):
            shutil.rmtree(entry, ignore_errors=True)
        try:
            made.rename(entry)
        except OSError:  # another start was faster
            if not _is_sound(entry):
                raise


def _fits_half(model: Any) -> bool:
    """Tell whether fp16 holds all constants; if not, OpenVINO would clip or round them silently.

    Its range is small compared with that of bf16: a mean of incomes does not fit, nor does what
    scales them down. Infinite values stay infinite. A model with loops or branches counts as unfit.
    """
    nodes = model.get_ops()
    if any(node.get_type_name() in WITH_BODIES for node in nodes):
        return False
    constants = (node for node in nodes if node.get_type_name() == "Constant")
    return all(
        _largest(node.data) <= HALF_MAX and not (_scales(node) and _is_rounded(node.data))
        for node in constants
        if node.get_element_type() in (ov.Type.f32, ov.Type.f64)
    )


def _scales(constant: Any) -> bool:
    """Tell whether a constant multiplies or divides something, value by value."""
    users = (target.get_node() for target in constant.output(0).get_target_inputs())
    return any(user.get_type_name() in ("Multiply", "Divide") for user in users)


def _is_rounded(values: Array) -> bool:
    """Tell whether fp16 changes any value by more than bf16 does."""
    finite = values[np.isfinite(values)]
    return bool((np.abs(finite.astype(np.float16) - finite) > np.abs(finite) * 2.0**-8).any())


def _largest(values: Array) -> float:
    """Return the largest finite magnitude, without a copy if all are finite."""
    largest = max(values.max(initial=0), -values.min(initial=0))
    if not np.isfinite(largest):
        largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    return float(largest)


def _sweep(cache: Path) -> None:
    """Remove what processes killed while writing have left, and unused entries.

    A process that has mapped an entry's weights keeps them.
    """
    found = [(path, ABANDONED_SECONDS) for path in cache.glob(".new-*")]
    found += [(path.parent, UNUSED_SECONDS) for path in cache.glob(f"*/{CHECKSUM}")]
    for path, patience in found:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > patience:
                shutil.rmtree(path, ignore_errors=True)


def _mark_used(entry: Path) -> None:
    """Note in the entry's time that a start has used it; a read-only cache cannot."""
    with contextlib.suppress(OSError):
        entry.touch()


def _is_sound(entry: Path) -> bool:
    """Tell whether an entry is there and is what was written."""
    try:
        return (entry / CHECKSUM).read_bytes() == _checksum(entry).encode()
    except OSError:
        return False


def _checksum(entry: Path) -> str:
    """Compute the checksum of an entry's files."""
    total = 0
    for path in (entry / MODEL, (entry / MODEL).with_suffix(".bin")):
        with path.open("rb") as file:
            while part := file.read(CHUNK):
                total = zlib.crc32(part, total)
    return f"{total:08x}"
