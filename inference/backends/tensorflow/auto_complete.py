"""Completes a model's configuration before it is loaded; needs no engine."""

import os

from inference.backends.tensorflow.commandline import arguments, default_max_batch_size
from inference.backends.tensorflow.configuration import Editable, complete
from inference.backends.tensorflow.location import savedmodel_of, version_directory
from inference.backends.tensorflow.parameters import Options
from inference.backends.tensorflow.signatures import read_signature


def auto_complete(config: Editable) -> None:
    """Complete a configuration from the SavedModel's signature. Raises LoadError."""
    given = config.as_dict()
    version = version_directory(arguments())
    options = Options.from_config(given)
    signature = read_signature(savedmodel_of(given, version), options.tag, options.signature)
    complete(config, signature, default_max_batch_size(arguments(os.getppid())))
