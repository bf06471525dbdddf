"""What an engine is given to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from inference.backends.tensorflow.parameters import Options
from inference.backends.tensorflow.signatures import Signature

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Task:
    """A signature of a SavedModel, the options, and how many threads to run it with."""

    savedmodel: Path
    signature: Signature
    options: Options
    threads: int
    cache: Path
    max_batch_size: int
