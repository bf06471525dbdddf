"""SavedModels that our exporter did not write, on the real Triton."""

import base64
import re
import shutil
from functools import partial

import grpc
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from gateway.cpus import available_cpus
from tests.waiting import wait_until

# The ends of the ranges that OpenVINO computes in: 32 bits for whole numbers.
VALUES = {
    "bool": [True, False],
    "uint8": [0, 254],
    "uint16": [0, 65_534],
    "uint32": [0, (1 << 31) - 2],
    "uint64": [0, (1 << 31) - 2],
    "int8": [-128, 126],
    "int16": [-32_768, 32_766],
    "int32": [-(1 << 31), (1 << 31) - 2],
    "int64": [-(1 << 31), (1 << 31) - 2],
    "float16": [-2.0, 0.5],
    "float32": [-2.0, 0.25],
    "float64": [-2.0, 0.125],
}


def floats(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_several_inputs_and_outputs_of_different_types(client):
    left, right, scale = floats(2, 3), floats(2, 3) + 1, np.array([[3], [4]], np.int64)
    answer = client.infer("several_inputs", left=left, right=right, scale=scale)
    np.testing.assert_array_equal(answer["sum"], left + right)
    np.testing.assert_array_equal(answer["scaled"], 2 * left * scale)
    np.testing.assert_array_equal(answer["next"], scale + 1)
    assert answer["next"].dtype == np.int64


def one_of_each(**given):
    """Make the inputs of `all_types`: zeros, except for the given ones."""
    return {name: np.zeros([1, 2], name) for name in VALUES} | given


@pytest.mark.parametrize("kind", VALUES)
def test_every_numeric_type_goes_in_and_comes_out(client, kind):
    values = np.array([VALUES[kind]], kind)
    answer = client.infer("all_types", **one_of_each(**{kind: values}))[f"after_{kind}"]
    assert answer.dtype == values.dtype
    expected = ~values if kind == "bool" else values + values.dtype.type(1)
    np.testing.assert_array_equal(answer, expected)


def test_a_row_may_be_a_single_value(client):
    answer = client.infer("single_values", x=np.float32([[1], [-2], [3]]))
    assert answer["double"].tolist() == [[2], [-4], [6]]
    assert answer["positive"].tolist() == [[True], [False], [True]]
    given = client.config("single_values")["input"][0]
    assert (given["dims"], given["reshape"].get("shape", [])) == (["1"], [])


@pytest.mark.parametrize("kind", ["int64", "uint64", "uint32"])
def test_whole_numbers_that_openvino_would_cut_are_refused(client, kind):
    values = np.array([[1, 1 << 31]], kind)
    with pytest.raises(InferenceServerException, match="2147483648, but OpenVINO"):
        client.infer("all_types", **one_of_each(**{kind: values}))


def test_strings_fall_back_to_tensorflow(client):
    text = np.array([[base64.urlsafe_b64encode(b"edge")], [b""]], np.object_)
    answer = client.infer("strings", text=text)
    assert answer["decoded"].tolist() == [[b"edge"], [b""]]
    assert answer["length"].tolist() == [[8], [0]]
    assert client.metric("edgelens_model_info", 'model="strings"', 'engine="tensorflow"') == [1]


def test_a_model_without_batch_dimension(client):
    matrix = floats(3, 2)
    answer = client.infer("unbatched", matrix=matrix)
    np.testing.assert_array_equal(answer["row"], 2 * matrix.sum(0))
    assert client.config("unbatched").get("max_batch_size", 0) == 0


@pytest.mark.parametrize("length", [1, 2, 7])
def test_variable_dimensions(client, length):
    points = floats(3, length, 2)
    answer = client.infer("variable", points=points)
    np.testing.assert_allclose(answer["centre"], 2 * points.sum(1))


def test_nested_outputs_are_named_by_their_paths(client):
    features = floats(2, 4)
    answer = client.infer("nested", features=features)
    hidden = np.repeat(features.sum(1, keepdims=True), 4, 1)
    np.testing.assert_allclose(answer["hidden"], hidden)
    np.testing.assert_allclose(answer["boxes/centre"], 2 * hidden)
    np.testing.assert_allclose(answer["boxes/corners/1"], hidden + 2)


def test_the_default_signature_is_served_where_there_are_several(client):
    assert client.infer("signatures", x=floats(2, 1))["y"].tolist() == [[0], [2]]


@pytest.mark.parametrize("model", ["chosen", "chosen_as_nvidia_did"])
def test_a_parameter_chooses_the_signature(client, model):
    assert client.infer(model, x=floats(2, 1))["z"].tolist() == [[0], [3]]


def test_a_parameter_chooses_the_graph_tag(client):
    assert client.infer("tagged", x=floats(2, 1))["y"].tolist() == [[0], [10]]


def test_a_long_object_graph_is_read_right(client):
    answer = client.infer("many_variables", x=floats(2, 1))
    assert answer["total"].tolist() == [[130], [131]]


def test_a_version_policy_chooses_the_versions(client):
    assert client.infer("versions", version="1", x=floats(1, 1))["y"].tolist() == [[1]]
    assert client.infer("versions", version="3", x=floats(1, 1))["y"].tolist() == [[3]]
    assert client.infer("versions", x=floats(1, 1))["y"].tolist() == [[3]]
    with pytest.raises(InferenceServerException, match="version 2"):
        client.infer("versions", version="2", x=floats(1, 1))


def test_a_sequence_gets_its_control_tensor(client):
    first = {"sequence_id": 7, "sequence_start": True, "sequence_end": False}
    last = {"sequence_id": 7, "sequence_start": False, "sequence_end": True}
    assert client.infer("sequence", sequence=first, x=floats(1, 1) + 1)["y"].tolist() == [[101]]
    assert client.infer("sequence", sequence=last, x=floats(1, 1) + 1)["y"].tolist() == [[1]]


@pytest.mark.parametrize("model", ["no_batching", "no_batching_by_output"])
def test_a_configuration_that_gives_a_whole_shape_wants_no_batches(client, model):
    points = floats(40, 3, 2)
    np.testing.assert_allclose(client.infer(model, points=points)["centre"], 2 * points.sum(1))
    assert client.config(model).get("max_batch_size", 0) == 0


def test_a_configuration_that_gives_the_shape_of_a_row_wants_batches(client):
    assert client.config("default_batching")["max_batch_size"] == 4
    assert client.infer("default_batching", points=floats(3, 5, 2))["centre"].shape == (3, 2)


def test_rows_that_come_one_by_one_do_not_wait_for_others(client):
    config = client.config("some_outputs")
    assert config["max_batch_size"] == 1
    assert "dynamic_batching" not in config


def test_a_configuration_may_narrow_what_varies(client):
    assert client.config("narrowed")["input"][0]["dims"] == ["5", "2"]
    assert client.infer("narrowed", points=floats(1, 5, 2))["centre"].shape == (1, 2)
    with pytest.raises(InferenceServerException, match="shape"):
        client.infer("narrowed", points=floats(1, 4, 2))


def test_a_configuration_may_settle_an_unknown_rank(client):
    x = floats(2, 2, 3)
    np.testing.assert_array_equal(client.infer("any_rank", x=x)["y"], 2 * x)
    assert client.config("any_rank")["output"][0]["dims"] == ["-1"]


def test_reshape_is_obeyed(client):
    assert client.infer("reshaped", x=floats(2, 1, 1))["y"].tolist() == [[0], [2]]


def test_a_configuration_may_offer_only_some_outputs(client):
    assert [output["name"] for output in client.config("some_outputs")["output"]] == ["sum"]
    scale = np.ones([1, 1], np.int64)
    answer = client.infer("some_outputs", left=floats(1, 3), right=floats(1, 3), scale=scale)
    assert list(answer) == ["sum"]


def test_outputs_that_are_not_offered_demand_nothing(client):
    x = floats(12, 2)
    np.testing.assert_array_equal(client.infer("constant_outputs", x=x)["y"], 2 * x)
    labels = ('model="constant_outputs"', 'engine="openvino"')
    assert client.metric("edgelens_model_info", *labels) == [1]


def test_only_the_outputs_asked_for_are_sent(client):
    scale = np.ones([1, 1], np.int64)
    answer = client.infer(
        "several_inputs", outputs=["next"], left=floats(1, 3), right=floats(1, 3), scale=scale
    )
    assert list(answer) == ["next"]


def test_the_directory_may_have_another_name(client):
    assert client.infer("renamed_file", x=floats(2, 1))["y"].tolist() == [[0], [2]]


def test_auto_complete_fills_in_what_the_signature_tells(client):
    config = client.config("several_inputs")
    tensors = {t["name"]: (t["data_type"], t["dims"]) for t in config["input"] + config["output"]}
    assert tensors == {
        "left": ("TYPE_FP32", ["3"]),
        "right": ("TYPE_FP32", ["3"]),
        "scale": ("TYPE_INT64", ["1"]),
        "sum": ("TYPE_FP32", ["3"]),
        "scaled": ("TYPE_FP32", ["3"]),
        "next": ("TYPE_INT64", ["1"]),
    }
    assert config["max_batch_size"] == 4
    assert "dynamic_batching" in config


def test_auto_complete_keeps_what_the_configuration_says(client):
    config = client.config("strings")
    assert config["max_batch_size"] == 8
    assert config["dynamic_batching"]["preferred_batch_size"] == [3]
    assert config["input"][0]["data_type"] == "TYPE_STRING"


def test_instances_share_the_cpus(client):
    log = client.server.log.read_text()
    assert client.config("several_inputs")["instance_group"][0]["count"] == 2
    line = r"several_inputs: version 1 runs signature .* on (\d+) threads"
    assert re.findall(line, log) == [str(max(1, available_cpus() // 2))] * 2


@pytest.mark.parametrize("model", ["chosen", "chosen_as_nvidia_did"])
def test_a_parameter_sets_the_number_of_threads(client, model):
    line = rf"{model}: version 1 runs signature 'triple' with openvino at \w+ on 1 threads"
    assert re.search(line, client.server.log.read_text())


def test_a_warm_up_runs_through_the_engine_before_the_model_is_ready(client):
    assert client.config("strings")["model_warmup"][0]["batch_size"] == 5
    assert "decoding 5 rows" in client.server.log.read_text()


def test_a_quantised_model_is_preferred(client):
    assert client.infer("quantised", x=floats(2, 1))["y"].tolist() == [[5], [7]]
    assert client.metric("edgelens_model_info", 'model="quantised"', 'precision="int8"') == [1]


def test_a_parameter_forbids_the_quantised_model(client):
    assert client.infer("unquantised", x=floats(2, 1))["y"].tolist() == [[0], [2]]
    assert client.metric("edgelens_model_info", 'model="unquantised"', 'precision="f32"') == [1]


def test_a_parameter_asks_for_bf16(client):
    assert client.infer("bfloat", x=floats(2, 1))["y"].tolist() == [[0], [2]]
    assert client.metric("edgelens_model_info", 'model="bfloat"', 'precision="bf16"') == [1]


@pytest.mark.parametrize("precision", ["bf16", "f32"])
def test_a_reload_leaves_the_metrics_of_the_new_process_alone(client, foreign, precision):
    name = f"renewed_{precision}"
    model = foreign / "repository" / name
    shutil.copytree(foreign / "repository" / "bfloat", model)
    config = model / "config.pbtxt"
    try:
        assert client.load(name) is None
        config.write_text(config.read_text().replace("bf16", precision))
        (model / "1/model.savedmodel/saved_model.pb").touch()  # or Triton has nothing to reload
        assert client.load(name) is None
    finally:
        shutil.rmtree(model)
    line = f"successfully unloaded '{name}' version 1"
    wait_until(lambda: line in client.server.log.read_text(), "the old one is unloaded", 60)
    info = partial(client.metric, "edgelens_model_info", f'model="{name}"')
    assert info() == info(f'precision="{precision}"') == [1]


def test_the_log_says_engine_and_precision(client):
    log = client.server.log.read_text()
    assert "quantised: version 1 runs signature 'serving_default' with openvino at int8" in log


def test_requests_that_wait_together_run_together(client):
    before = client.batches("variable")
    requests = [{"points": floats(1, 3, 2) + index} for index in range(12)]
    answers = client.infer_at_once("variable", requests)
    for request, answer in zip(requests, answers, strict=True):
        np.testing.assert_allclose(answer["centre"], 2 * request["points"].sum(1))

    def counted():
        return np.subtract(client.batches("variable"), before)

    wait_until(lambda: counted()[0] >= 12, "all are counted, which is after their answers", 60)
    rows, runs = counted()
    assert rows > 3 * runs


def test_requests_of_several_rows_get_their_own_rows_back(client):
    requests = [{"points": floats(rows, 2, 2) + 100 * rows} for rows in (1, 4, 2, 5)]
    for request, answer in zip(requests, client.infer_at_once("variable", requests), strict=True):
        np.testing.assert_allclose(answer["centre"], 2 * request["points"].sum(1))


def test_requests_that_wait_together_are_not_mixed_where_boxes_suppress_each_other(client):
    """If joined, the second request's boxes would be numbered on from the first one's."""
    corners = np.float32([[0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3]])
    scores = np.float32([[0.6], [0.9], [0.7]])
    requests = [{"corners": corners + 10 * index, "scores": scores} for index in range(4)]
    answers = client.infer_at_once("boxes", requests)
    assert [answer["kept"].ravel().tolist() for answer in answers] == [[1, 2, 0]] * 4


def test_the_rows_of_a_request_are_compared_with_each_other_and_no_others(client):
    x = floats(3, 2)
    answers = client.infer_at_once("centred", [{"x": x}, {"x": x + 5}])
    for answer in answers:
        np.testing.assert_array_equal(answer["beyond"], 2 * (x - x[0]))


def test_a_batch_larger_than_the_engine_runs_at_once_comes_back_whole(client):
    points = floats(29, 2, 2)
    np.testing.assert_allclose(client.infer("variable", points=points)["centre"], 2 * points.sum(1))


def test_one_malformed_request_does_not_fail_its_neighbours(client):
    good = base64.urlsafe_b64encode(b"edge")
    requests = [{"text": np.array([[text]], np.object_)} for text in (good, b"!!!", good)]
    first, second, third = client.infer_at_once("strings", requests)
    assert isinstance(second, InferenceServerException)
    assert "base64" in str(second)
    assert first["decoded"].tolist() == third["decoded"].tolist() == [[b"edge"]]


def test_a_string_whose_length_lies_is_refused_and_the_next_one_answered(client):
    good = np.array([[base64.urlsafe_b64encode(b"edge")]], np.object_)
    with pytest.raises(grpc.RpcError) as caught:
        client.send("strings", name="text", datatype="BYTES", shape=[1, 1], content=b"\xff\0\0\0ab")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "expecting string of length 255" in caught.value.details()
    assert client.infer("strings", text=good)["decoded"].tolist() == [[b"edge"]]


def test_an_empty_string_array_of_no_rows_does_not_kill_the_model(client):
    with pytest.raises(InferenceServerException):
        client.infer("variable", points=floats(0, 2, 2))
    assert client.infer("variable", points=floats(1, 2, 2))["centre"].shape == (1, 2)
