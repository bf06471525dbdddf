"""The models beside a classifier that take encoded pictures: the decoder, and the ensemble of both.

They are written with the classifier, or completed later.
"""

from pathlib import Path
from string import Template

from exporter.architectures import INPUT, OUTPUT
from exporter.config import (
    LABEL_FILE,
    MAX_BATCH_SIZE,
    contract_in,
    read_config,
    served_version,
    serving,
)
from exporter.labels import read_labels
from exporter.target import Target
from gateway.contract import Contract
from gateway.model_names import companions, decode_name, ensemble_name
from inference.label_file import label_text
from inference.pbtxt import parameters, quoted, with_parameters
from inference.repository import versions_in
from inference.writing import write_text

SIGN = "golden_tensor_sha256"  # only the exporter writes this into a config.pbtxt

_DECODE = Template("""\
# Encoded pictures (JPEG, PNG, WebP, ...) to the input of $model. Written by export_model.py.
name: $name
backend: "opencv"
max_batch_size: $max_batch_size

input { name: "image" data_type: TYPE_STRING dims: [ 1 ] }
output { name: "tensor" data_type: TYPE_UINT8 dims: [ $height, $width, 3 ] }

instance_group { count: 2 kind: KIND_CPU }
# Each request is decoded on its own: in 24.10, one whose BYTES state a wrong length would fail all
# requests in its batch. A request may still hold many pictures, and the classifier still batches.
dynamic_batching { preferred_batch_size: [ 1 ] }

""")

_ENSEMBLE = Template("""\
# Encoded pictures in, probabilities out: $decode, then $model. Written by export_model.py.
name: $name
platform: "ensemble"
max_batch_size: $max_batch_size

input { name: "image" data_type: TYPE_STRING dims: [ 1 ] }
output { name: "$output" data_type: TYPE_FP32 dims: [ $classes ] label_filename: "$label_file" }

# The steps take whatever version serves; `make deploy` gives its number to this one too.
version_policy { specific { versions: [ $version ] } }
ensemble_scheduling {
  step {
    model_name: $decode
    model_version: -1
    input_map { key: "image" value: "image" }
    output_map { key: "tensor" value: "tensor" }
  }
  step {
    model_name: $model
    model_version: -1
    input_map { key: "$input" value: "tensor" }
    output_map { key: "$output" value: "$output" }
  }
}
""")


def write_companions(
    target: Target, contract: Contract, labels: list[str], anew: bool = False
) -> None:
    """Write the decoder, then the ensemble that needs it and the classifier.

    Unless they are made `anew`, existing ones keep all but the decoder's contract. A new ensemble,
    or one whose classifier has no other version, gets the number of the classifier's version that
    serves. Any other ensemble keeps the number that `make deploy` gave it.
    """
    repository, model = target.repository, target.model
    decode = repository / decode_name(model)
    config = decode / "config.pbtxt"
    if anew or not config.exists():
        write_text(config, decode_config(model, contract))
    else:
        write_text(config, with_parameters(read_config(config), contract.as_parameters()))
    (decode / "1").mkdir(exist_ok=True)
    ensemble = repository / ensemble_name(model)
    config = ensemble / "config.pbtxt"
    served = served_version(target.model_dir / "config.pbtxt") or target.version
    if anew or not config.exists():
        write_text(ensemble / LABEL_FILE, label_text(labels))
        write_text(config, ensemble_config(model, len(labels), served))
    elif versions_in(target.model_dir) == [target.version]:
        write_text(config, serving(read_config(config), served))
    (ensemble / str(served_version(config) or served)).mkdir(exist_ok=True)


def complete(repository: Path, model: str) -> None:
    """Write the companions that are missing because an export was killed.

    A model that the exporter did not write has none. Raises ExportError for a contract or labels
    that cannot be read, OSError if nothing can be written.
    """
    if all(versions_in(repository / name) for name in companions(model)):  # made last
        return
    config = repository / model / "config.pbtxt"
    if config.is_file() and SIGN in parameters(read_config(config)):
        labels = read_labels(repository / model / LABEL_FILE)
        newest = Target(repository, model, max(versions_in(repository / model)))
        write_companions(newest, contract_in(config), labels)


def decode_config(model: str, contract: Contract) -> str:
    """Return the config.pbtxt of the decoder; it carries the contract of its classifier."""
    text = _DECODE.substitute(
        name=quoted(decode_name(model)),
        model=model,
        height=contract.height,
        width=contract.width,
        max_batch_size=MAX_BATCH_SIZE,
    )
    return with_parameters(text, contract.as_parameters())


def ensemble_config(model: str, classes: int, version: int) -> str:
    """Return the config.pbtxt of the ensemble; it needs the classifier's label file beside it."""
    return _ENSEMBLE.substitute(
        name=quoted(ensemble_name(model)),
        decode=quoted(decode_name(model)),
        model=quoted(model),
        input=INPUT,
        output=OUTPUT,
        classes=classes,
        label_file=LABEL_FILE,
        max_batch_size=MAX_BATCH_SIZE,
        version=version,
    )
