"""The two models beside a classifier that let programs send encoded pictures: decode, ensemble."""

from string import Template

from exporter.catalog import INPUT, OUTPUT
from exporter.config import LABEL_FILE, MAX_BATCH_SIZE
from gateway.contract import Contract
from gateway.model_names import decode_name, ensemble_name
from inference.pbtxt import quoted, with_parameters

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
