"""The config.pbtxt of a classifier: what Triton needs, and the contract that clients read."""

from pathlib import Path
from string import Template

from exporter.architectures import INPUT, OUTPUT, ModelSpec
from exporter.errors import ExportError
from exporter.golden import Golden, encoded_picture
from gateway.contract import Contract, ContractError
from inference.pbtxt import (
    PbtxtError,
    parameter,
    parameters,
    parse,
    quoted,
    read,
    with_parameters,
    with_versions,
)

LABEL_FILE = "labels.txt"
MAX_BATCH_SIZE = 16

# No queue delay: batches form while the instance is busy, and a lone request does not wait. No
# queue policy either: with one, a request that arrives while the instance is busy wakes nobody in
# Triton 24.10, and some wait half a second until the batcher looks at its queue again. The gateway
# and the balancer limit what they admit, and a gRPC call that was given up is dropped anyway.
#
# Batches of 8 are preferred: larger ones are no faster. With sixteen clients, some of whom wait
# while the others are answered, large and tiny batches would otherwise take turns for ever.
_CLASSIFIER = Template("""\
# Written by export_model.py. A later export changes only the `parameters` about versions.
name: $name
platform: "tensorflow_savedmodel"
max_batch_size: $max_batch_size

# RGB, already resized and cropped as the parameters below say; normalisation is inside the model.
input { name: "$input" data_type: TYPE_UINT8 dims: [ $size, $size, 3 ] }
output { name: "$output" data_type: TYPE_FP32 dims: [ $classes ] label_filename: "$label_file" }

instance_group { count: 1 kind: KIND_CPU }
dynamic_batching { preferred_batch_size: [ 8 ] }
response_cache { enable: true }
# `make deploy` changes this line after it has tested a version; a restart serves no other version.
version_policy { specific { versions: [ 1 ] } }
model_warmup {
  name: "one picture"
  batch_size: 1
  inputs {
    key: "$input"
    value { data_type: TYPE_UINT8 dims: [ $size, $size, 3 ] zero_data: true }
  }
}

# engine: "auto", "openvino" or "tensorflow"; precision: "auto", "f32", "bf16" or "int8".
""")


def classifier_config(name: str, spec: ModelSpec, classes: int) -> str:
    """Return a new config.pbtxt, still without the parameters of its versions."""
    text = _CLASSIFIER.substitute(
        name=quoted(name),
        max_batch_size=MAX_BATCH_SIZE,
        input=INPUT,
        output=OUTPUT,
        size=spec.size,
        classes=classes,
        label_file=LABEL_FILE,
    )
    text += parameter("engine", "openvino") + parameter("precision", "auto")
    text += "\n# How a picture becomes the input, and a picture to check that with.\n"
    contract = {**spec.contract.as_parameters(), "label_file": LABEL_FILE}
    return with_parameters(text, {**contract, "golden_picture": encoded_picture()})


def read_config(path: Path) -> str:
    """Return what a config.pbtxt says. Raises ExportError for one that Triton could not read."""
    try:
        text = read(path)
        parse(text)
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}") from error
    except PbtxtError as error:
        raise ExportError(f"{path} {error}") from error
    return text


def contract_in(path: Path, default: Contract | None = None) -> Contract:
    """Return the contract that a config.pbtxt states; `default` fills in what it leaves out.

    Raises ExportError if it cannot be followed or, without a default, is incomplete.
    """
    stated = parameters(read_config(path))
    try:
        return Contract.from_parameters((default.as_parameters() if default else {}) | stated)
    except ContractError as error:
        raise ExportError(f"{path}: {error}") from error


def serving(text: str, version: int) -> str:
    """Make a config.pbtxt serve one version, unless somebody chose another kind of policy."""
    return with_versions(text, [version]) if _served(text) else text


def served_version(path: Path) -> int | None:
    """Read which version answers unversioned requests; None if config.pbtxt leaves it open."""
    return max(_served(read_config(path)), default=None)


def _served(text: str) -> list[int]:
    """List the versions that a config.pbtxt names; none if its policy is another one."""
    return list(parse(text).version_policy.specific.versions)


def about_version(version: int, weights: str, golden: Golden) -> dict[str, str]:
    """Return the parameters about a new version: its weights, and what it must answer."""
    return {"weights": weights, f"weights_v{version}": weights, **golden.parameters(version)}
