"""What a model is computed in: int8 where it was quantised, else what this CPU is fastest at."""

from pathlib import Path

from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.task import Task

INT8_MODEL = "model.int8.xml"


def choose_precision(task: Task, cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, Path]:
    """Choose the precision and the file that has it. Raises LoadError if int8 is not there."""
    quantised = task.savedmodel.with_name(INT8_MODEL)
    wanted = task.options.precision
    if wanted == "int8" and not quantised.is_file():
        raise LoadError(
            f'precision is "int8" and {quantised} is missing: quantise the model with'
            " `python export_model.py MODEL --quantize DIRECTORY_OF_PICTURES`"
        )
    if wanted in ("auto", "int8") and quantised.is_file():
        return "int8", quantised
    if wanted == "auto":
        wanted = "bf16" if has_fast_bf16(cpuinfo) else "f32"
    return wanted, task.savedmodel


def has_fast_bf16(cpuinfo: Path) -> bool:
    """Tell whether this CPU gains from bf16.

    AMX and AMD's avx512_bf16 double the speed. Intel's avx512_bf16 without AMX halves it:
    VGG16 on two cores of a Sapphire Rapids whose AMX is hidden makes 10.1 pictures a second
    in f32 and 5.4 in bf16.
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return "amx_bf16" in flags or ("avx512_bf16" in flags and "AuthenticAMD" in str(lines))
