"""Completes a model's configuration before it is loaded; needs no engine."""

import os
from typing import Any

from inference.backends.tensorflow.configuration import complete
from inference.backends.tensorflow.location import savedmodel_of, version_directory
from inference.backends.tensorflow.parameters import Options
from inference.backends.tensorflow.signatures import read_signature
from inference.tritonserver.processes import command_line

DEFAULT_MAX_BATCH_SIZE = 4
_FLAG = "default-max-batch-size="


def auto_complete(config: Any) -> None:
    """Complete a configuration from the SavedModel's signature. Raises LoadError.

    Only command lines tell a stub where the model is and how Triton was started.
    """
    given = config.as_dict()
    version = version_directory(command_line(os.getpid()))
    options = Options.from_config(given)
    signature = read_signature(savedmodel_of(given, version), options.tag, options.signature)
    complete(config, signature, default_max_batch_size(command_line(os.getppid())))


def default_max_batch_size(server: list[str]) -> int:
    """Read `--backend-config=default-max-batch-size=N` from Triton's arguments; 4 without it."""
    for argument in server:
        value = argument.rpartition(_FLAG)[2]
        if _FLAG in argument and value.isascii() and value.isdigit():
            return int(value)
    return DEFAULT_MAX_BATCH_SIZE
