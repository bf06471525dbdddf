"""What cannot be served is refused when it is loaded, with a sentence that says why."""

import shutil

import pytest

from inference.backends.tensorflow import wire
from inference.backends.tensorflow.signatures import (
    DEFAULT_SIGNATURE,
    DEFAULT_TAG,
    META_GRAPHS,
    META_INFO,
    SIGNATURES,
    TAGS,
)
from inference.pbtxt import parameter

Y = 'output { name: "y" data_type: TYPE_FP32 dims: [1] }'
X = 'input { name: "x" data_type: TYPE_FP32 dims: [1] }'

CASES = {
    "wrong type": (
        "signatures",
        'max_batch_size: 4 input { name: "x" data_type: TYPE_INT32 dims: [1] }' + Y,
        ["input 'x' is TYPE_INT32", "signature 'serving_default' says TYPE_FP32"],
    ),
    "wrong dims": (
        "signatures",
        'max_batch_size: 4 input { name: "x" data_type: TYPE_FP32 dims: [7] }' + Y,
        ["input 'x' has dims [7]", "signature 'serving_default' says [1]"],
    ),
    "wrong output dims": (
        "signatures",
        f'max_batch_size: 4 {X} output {{ name: "y" data_type: TYPE_FP32 dims: [2, 1] }}',
        ["output 'y' has dims [2,1]", "says [1]"],
    ),
    "unknown input": (
        "signatures",
        'max_batch_size: 4 input { name: "other" data_type: TYPE_FP32 dims: [1] }' + Y,
        ["input 'other'", "'x'"],
    ),
    "unknown output": (
        "signatures",
        f'{X} output {{ name: "other" data_type: TYPE_FP32 dims: [1] }}',
        ["output 'other'", "'y'"],
    ),
    "a batch where there is none": (
        "unbatched",
        "max_batch_size: 4",
        ["max_batch_size 4", "'matrix' TYPE_FP32 [3,2]"],
    ),
    "unknown signature": (
        "signatures",
        parameter("signature", "quadruple"),
        ["'quadruple'", "'serving_default', 'triple'"],
    ),
    "unknown tag": ("signatures", parameter("TF_GRAPH_TAG", "gpu"), ["'gpu'", "'serve'"]),
    "unknown engine": ("signatures", parameter("engine", "onnx"), ["'onnx'", "openvino"]),
    "unknown precision": ("signatures", parameter("precision", "fp4"), ["'fp4'", "bf16"]),
    "threads that are no number": ("signatures", parameter("threads", "all"), ["'all'"]),
    "int8 that is not there": (
        "signatures",
        parameter("precision", "int8"),
        ["model.int8.xml is missing", "--quantize"],
    ),
    "tensorflow in bf16": (
        "signatures",
        parameter("engine", "tensorflow") + parameter("precision", "bf16"),
        ["bf16", "openvino"],
    ),
    "strings for openvino": (
        "strings",
        parameter("engine", "openvino"),
        ["strings", "'text'", 'engine "tensorflow"'],
    ),
    "init operations": (
        "signatures",
        parameter("TF_INIT_OPS_FILE", "init.json"),
        ["TF_INIT_OPS_FILE", "GraphDef"],
    ),
    "graphdef": ("signatures", 'platform: "tensorflow_graphdef"', ["graphdef", "SavedModel"]),
    "ragged batch": (
        "variable",
        """max_batch_size: 4
        input { name: "points" data_type: TYPE_FP32 dims: [-1, 2] allow_ragged_batch: true }
        output { name: "centre" data_type: TYPE_FP32 dims: [2] }""",
        ["ragged", "'points'"],
    ),
    "optional input": (
        "signatures",
        "max_batch_size: 4 " + X.replace("}", "optional: true }") + Y,
        ["'x' is optional"],
    ),
    "batch input": (
        "signatures",
        f"""max_batch_size: 4 {X} {Y} batch_input {{
        kind: BATCH_ELEMENT_COUNT target_name: "x" data_type: TYPE_FP32 source_input: "x" }}""",
        ["batch_input"],
    ),
    "batch output": (
        "signatures",
        f"""max_batch_size: 4 {X} {Y} batch_output {{
        kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "y" source_input: "x" }}""",
        ["batch_output"],
    ),
    "implicit sequence state": (
        "signatures",
        f"""max_batch_size: 4 {X} {Y} sequence_batching {{ state [{{
        input_name: "in" output_name: "out" data_type: TYPE_FP32 dims: [1] }}] }}""",
        ["implicit sequence state"],
    ),
    "several answers to a request": (
        "signatures",
        "model_transaction_policy { decoupled: true }",
        ["decoupled", "answers each request once"],
    ),
    "complex numbers": ("complex_numbers", "", ["complex64", "'x'"]),
    "a sparse tensor": ("sparse", "", ["'x', which is sparse or ragged"]),
    "a constant output, with OpenVINO": (
        "constant_outputs",
        parameter("engine", "openvino")
        + 'output { name: "thresholds" data_type: TYPE_FP32 dims: [3] }',
        ["no tensor 'thresholds'", "constant", "only the outputs that are needed"],
    ),
    "an output of a type Triton lacks": (
        "constant_outputs",
        'output { name: "half" data_type: TYPE_BF16 dims: [2] }',
        ["'half', which is bfloat16", "save the model with another type"],
    ),
    "a scalar": ("scalar", "", ["scalar 'factor' TYPE_FP32 []", "save the model with [1]"]),
    "a scalar that is to be batched": ("scalar", "max_batch_size: 4", ["scalar 'factor'"]),
    "a scalar with dims": (
        "scalar",
        """max_batch_size: 0
        input { name: "factor" data_type: TYPE_FP32 dims: [1] }""",
        ["scalar 'factor'"],
    ),
    "a missing input": (
        "several_inputs",
        """max_batch_size: 0
        input { name: "left" data_type: TYPE_FP32 dims: [-1, 3] }
        input { name: "middle" data_type: TYPE_FP32 dims: [-1, 3] }""",
        ["'middle'", "'right'"],
    ),
}


@pytest.mark.parametrize(("part", "config", "sentences"), CASES.values(), ids=CASES)
def test_what_cannot_hold_is_refused_with_its_reason(client, foreign, part, config, sentences):
    model = foreign / "repository" / "refused"
    shutil.copytree(foreign / "parts" / part, model)
    try:
        platform = "" if "platform" in config else 'platform: "tensorflow_savedmodel"\n'
        (model / "config.pbtxt").write_text(platform + config)
        reason = client.load("refused")
    finally:
        shutil.rmtree(model)
    assert reason is not None, "it was loaded"
    for sentence in sentences:
        assert sentence in reason
    assert "Traceback" not in reason


def _with_signature(definition):
    tags = wire.encode(META_INFO, wire.encode(TAGS, DEFAULT_TAG.encode()))
    named = wire.encode(1, DEFAULT_SIGNATURE.encode()) + wire.encode(2, definition)
    return wire.encode(META_GRAPHS, tags + wire.encode(SIGNATURES, named))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x12\xff\xff", "saved_model.pb is damaged"),
        (_with_signature(wire.encode(1, b"\xff")), "saved_model.pb is damaged"),
        (wire.encode(1, wire.encode(1, b"x") + wire.encode(2, b"Placeholder")), "a frozen graph"),
    ],
    ids=["damaged", "damaged signature", "frozen graph"],
)
def test_what_is_no_savedmodel_is_refused(client, foreign, content, sentence):
    model = foreign / "repository" / "damaged"
    shutil.copytree(foreign / "parts" / "signatures", model)
    (model / "1" / "model.savedmodel" / "saved_model.pb").write_bytes(content)
    try:
        reason = client.load("damaged")
    finally:
        shutil.rmtree(model)
    assert sentence in reason


@pytest.mark.parametrize(
    ("contract", "labels", "is_refused"),
    [
        (parameter("width", "8"), "background\ncat\n", True),
        (parameter("width", "8"), "cat\r\n\r\n", False),
        ("", "background\ncat\n", False),
    ],
    ids=["a label too many", "empty lines at the end", "without a contract"],
)
def test_labels_that_would_belong_to_other_classes_are_refused(
    client, foreign, contract, labels, is_refused
):
    model = foreign / "repository" / "labelled"
    shutil.copytree(foreign / "parts" / "signatures", model)
    (model / "labels.txt").write_text(labels, newline="")
    labelled = Y.replace("}", 'label_filename: "labels.txt" }')
    platform = 'platform: "tensorflow_savedmodel"\n'
    (model / "config.pbtxt").write_text(f"{platform}max_batch_size: 4 {X} {labelled} {contract}")
    try:
        reason = client.load("labelled")
    finally:
        shutil.rmtree(model)
    sentence = "labels.txt names 2 classes, but output 'y' has 1: give one label per line"
    assert is_refused == (sentence in str(reason))
    assert is_refused == (reason is not None)


def test_a_savedmodel_without_its_weights_is_refused(client, foreign):
    model = foreign / "repository" / "weightless"
    shutil.copytree(foreign / "parts" / "signatures", model)
    shutil.rmtree(model / "1" / "model.savedmodel" / "variables")
    (model / "config.pbtxt").write_text(
        'platform: "tensorflow_savedmodel"\n' + parameter("engine", "openvino")
    )
    try:
        reason = client.load("weightless")
    finally:
        shutil.rmtree(model)
    assert "OpenVINO cannot run" in reason
