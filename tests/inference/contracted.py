"""Small classifiers with a contract, right and wrong, on Triton's own Python backend."""

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from gateway.contract import Contract
from gateway.image import to_tensor
from inference.label_file import label_text, labels_sha256
from inference.pbtxt import with_parameters
from tests.photos import photos

SIDE = 64
CONTRACT = Contract(SIDE, SIDE, 80, "center", "cubic", "RGB", "0-255")
PICTURE = photos()[4].data
LABELS = [f"n{number:08} thing {number}" for number in range(10)]

# Random projections: every pixel counts, so that every mistake changes the answer.
PROJECTION = f"""
import numpy as np

WEIGHTS = np.random.default_rng(7).standard_normal(({SIDE * SIDE * 3}, 10)).astype(np.float32)


def classify(tensors):
    flat = tensors.reshape(len(tensors), -1).astype(np.float32) / 255 - 0.5
    logits = flat @ WEIGHTS * 0.03
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
"""

MODEL = f"""{PROJECTION}
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        tensors = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
        batch = (TAKEN).reshape(-1, *tensors.shape[-3:])
        found = classify(batch).reshape(*tensors.shape[:-3], 10)
        return pb_utils.InferenceResponse([pb_utils.Tensor("probabilities", found)])
"""
RIGHT, SWAPPED = "tensors", "np.ascontiguousarray(tensors[..., ::-1])"
MIRRORED = "np.ascontiguousarray(tensors[..., ::-1, :])"
FIRST_ONLY = "np.repeat(tensors[:1], len(tensors), axis=0)"

CLASSIFIER = f"""
backend: "python"
max_batch_size: BATCH
input {{ name: "image" data_type: TYPE_UINT8 dims: [ {SIDE}, {SIDE}, 3 ] }}
output {{ name: "probabilities" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "labels.txt" }}
instance_group {{ count: 1 kind: KIND_CPU }}
"""
DECODER = f"""
backend: "opencv"
max_batch_size: 4
input {{ name: "image" data_type: TYPE_STRING dims: [ 1 ] }}
output {{ name: "tensor" data_type: TYPE_UINT8 dims: [ {SIDE}, {SIDE}, 3 ] }}
instance_group {{ count: 1 kind: KIND_CPU }}
"""
ENSEMBLE = """
platform: "ensemble"
max_batch_size: 4
input {{ name: "image" data_type: TYPE_STRING dims: [ 1 ] }}
output {{ name: "probabilities" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "labels.txt" }}
ensemble_scheduling {{
  step {{
    model_name: "{decoder}" model_version: -1
    input_map {{ key: "image" value: "image" }} output_map {{ key: "tensor" value: "tensor" }}
  }}
  step {{
    model_name: "{model}" model_version: -1
    input_map {{ key: "image" value: "tensor" }}
    output_map {{ key: "probabilities" value: "probabilities" }}
  }}
}}
"""


def golden(
    picture: bytes = PICTURE, exported: Contract = CONTRACT, mirrored: bool = False
) -> dict[str, str]:
    """Return a model's answer to the golden picture if it was `exported` with this contract."""
    namespace: dict = {}
    exec(PROJECTION, namespace)
    right, taken = to_tensor(picture, CONTRACT), to_tensor(picture, exported)
    probabilities = namespace["classify"](taken[np.newaxis, :, :: -1 if mirrored else 1])[0]
    best = int(probabilities.argmax())
    return {
        "precision": "f32",
        "golden_picture": base64.b64encode(picture).decode(),
        "golden_tensor_sha256": hashlib.sha256(right.tobytes()).hexdigest(),
        "labels_sha256": labels_sha256(LABELS),
        "golden_label_v1": LABELS[best],
        "golden_probability_v1": f"{probabilities[best]:.6f}",
    }


def configuration(**changes: str) -> dict:
    """Return a classifier's configuration as Triton does."""
    stated = {**CONTRACT.as_parameters(), **golden(), **changes}
    return {
        "input": [{"name": "image", "data_type": "TYPE_UINT8", "dims": ["64", "64", "3"]}],
        "output": [{"name": "probabilities", "data_type": "TYPE_FP32", "dims": ["10"]}],
        "max_batch_size": 4,
        "parameters": {name: {"string_value": text} for name, text in stated.items() if text},
    }


def add_classifier(
    repository: Path,
    name: str,
    takes: str = RIGHT,
    labels: list[str] | None = None,
    batch: int = 4,
    **parameters: str,
) -> None:
    """Write a classifier; parameters given as keywords replace those of the contract."""
    stated = {**CONTRACT.as_parameters(), **golden(), **parameters}
    given = {key: value for key, value in stated.items() if value}
    directory = add(repository, name, CLASSIFIER.replace("BATCH", str(batch)), given)
    (directory / "1/model.py").write_text(MODEL.replace("TAKEN", takes))
    write_labels(directory, LABELS if labels is None else labels)


def add_ensemble(
    repository: Path, model: str, labels: list[str] | None = None, **changes: str | int
) -> None:
    """Write a classifier's decoder and ensemble; keywords change the decoder's contract."""
    contract = replace(CONTRACT, **changes)
    add(repository, f"{model}_decode", DECODER, contract.as_parameters())
    text = ENSEMBLE.format(decoder=f"{model}_decode", model=model)
    directory = add(repository, f"{model}_image", text, {})
    write_labels(directory, LABELS if labels is None else labels)


def add(repository: Path, name: str, text: str, parameters: dict[str, str]) -> Path:
    directory = repository / name
    (directory / "1").mkdir(parents=True)
    (directory / "config.pbtxt").write_text(with_parameters(text, parameters))
    return directory


def write_labels(directory: Path, labels: list[str]) -> None:
    (directory / "labels.txt").write_text(label_text(labels))
