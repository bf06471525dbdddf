"""What a model is computed in: int8 where it was quantised, else what this CPU is fastest at."""

from pathlib import Path

from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.task import Task

INT8_MODEL, INT8_WEIGHTS = "model.int8.xml", "model.int8.bin"
CPUINFO = Path("/proc/cpuinfo")


def choose_precision(task: Task, cpuinfo: Path = CPUINFO) -> str:
    """Choose `int8`, `bf16` or `f32`. Raises LoadError if int8 is asked for and not there."""
    wanted = task.options.precision
    quantised = int8_model(task.savedmodel)
    if wanted == "int8" and not quantised.is_file():
        raise LoadError(
            f'precision is "int8" and {quantised} is missing: quantise the model with'
            " `python3 export_model.py MODEL --quantize DIRECTORY_OF_PICTURES`"
        )
    if wanted == "auto":
        return "int8" if quantised.is_file() else float_precision(cpuinfo)
    return wanted


def int8_model(savedmodel: Path) -> Path:
    """Name the quantised model beside a SavedModel."""
    return savedmodel.with_name(INT8_MODEL)


def float_precision(cpuinfo: Path = CPUINFO) -> str:
    """Choose between `bf16` and `f32`: whichever is faster on this CPU.

    AMX and AMD's avx512_bf16 double the speed. Intel's avx512_bf16 without AMX halves it:
    VGG16 on two Xeon cores whose AMX is hidden makes 10.1 pictures a second in f32, 5.4 in bf16.
    """
    try:
        words = set(cpuinfo.read_text().split())
    except OSError:
        return "f32"
    fast = "amx_bf16" in words or {"avx512_bf16", "AuthenticAMD"} <= words
    return "bf16" if fast else "f32"
