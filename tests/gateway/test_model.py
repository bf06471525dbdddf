"""What a model's configuration says about its versions: Triton has one for all of them."""

import pytest
from tritonclient.grpc import model_config_pb2

from gateway.contract import ContractError
from gateway.model import Model, model_from_config
from inference.backends.tensorflow.parameters import Options
from tests.gateway.stub import model_config

TWO_EXPORTS = {"weights": "imagenet", "weights_v1": "random", "weights_v2": "imagenet"}


def model(version: str, **parameters: str) -> Model:
    found = model_from_config(model_config("colours", **parameters), version, {})
    assert found
    return found


@pytest.mark.parametrize(("version", "weights"), [("1", "random"), ("2", "imagenet")])
def test_each_version_has_its_own_weights(version: str, weights: str) -> None:
    assert model(version, **TWO_EXPORTS).weights == weights
    assert model(version, **TWO_EXPORTS).as_json()["weights"] == weights


def test_the_backend_names_the_same_weights() -> None:
    given = {name: {"string_value": value} for name, value in TWO_EXPORTS.items()}
    for version in ("1", "2", "3"):
        options = Options.from_config({"parameters": given}, version)
        assert options.weights == model(version, **TWO_EXPORTS).weights


def test_a_configuration_that_names_no_versions_speaks_for_the_one_it_was_read_for() -> None:
    assert model("7", weights="file:mine.h5").weights == "file:mine.h5"


def test_nothing_is_said_of_a_version_that_came_after_the_configuration() -> None:
    assert model("1", weights="imagenet", weights_v1="imagenet").weights_of("2") == "unknown"


@pytest.mark.parametrize("text", ["not base64!", "für später"])
def test_garbage_instead_of_a_golden_picture_is_none(text: str) -> None:
    model = model_from_config(model_config("colours", golden_picture=text), "1", {})
    assert model
    assert model.golden_picture == b""


@pytest.mark.parametrize(
    ("kind", "dims"),
    [("TYPE_FP32", [224, 224, 3]), ("TYPE_UINT8", [3, 224, 224]), ("TYPE_UINT8", [224, 224])],
)
def test_a_model_that_takes_something_else_is_refused(kind: str, dims: list[int]) -> None:
    config = model_config("colours")
    config.input[0].data_type = getattr(model_config_pb2, kind)
    config.input[0].dims[:] = dims
    with pytest.raises(ContractError, match=r"TYPE_UINT8 with dims \[224, 224, 3\]"):
        model_from_config(config, "1", {})


def test_a_model_that_takes_more_than_a_picture_is_refused() -> None:
    config = model_config("colours")
    config.input.add(name="threshold", optional=True)
    assert model_from_config(config, "1", {})
    config.input.add(name="place")
    with pytest.raises(ContractError, match="more inputs than the picture"):
        model_from_config(config, "1", {})


@pytest.mark.parametrize(
    ("kind", "dims"),
    [("TYPE_FP32", [10, 4]), ("TYPE_FP16", [10]), ("TYPE_INT64", [10]), ("TYPE_STRING", [1])],
)
def test_a_model_that_answers_something_else_is_refused(kind: str, dims: list[int]) -> None:
    config = model_config("colours")
    config.output[0].data_type = getattr(model_config_pb2, kind)
    config.output[0].dims[:] = dims
    with pytest.raises(ContractError, match=r"first output .* must be its probabilities"):
        model_from_config(config, "1", {})


def test_what_the_backend_says_it_runs_counts_more_than_the_configuration() -> None:
    told = {"engine": "tensorflow", "precision": "bf16"}
    written = {"engine": "openvino", "precision": "fp32"}
    for info, shown in ((told, told), ({}, written)):
        found = model_from_config(model_config("colours", **written), "1", info)
        assert found
        assert found.as_json().items() >= shown.items()


@pytest.mark.parametrize(
    ("dims", "classes"), [([7], 7), ([1, 1, 7], 7), ([-1], 1000), ([], 1000)], ids=str
)
def test_a_model_that_names_no_number_of_classes_may_have_a_thousand(
    dims: list[int], classes: int
) -> None:
    config = model_config("colours")
    config.output[0].dims[:] = dims
    found = model_from_config(config, "1", {})
    assert found
    assert found.classes == classes
