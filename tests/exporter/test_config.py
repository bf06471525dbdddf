import base64
from pathlib import Path

import pytest
from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_STRING, TYPE_UINT8

from exporter.architectures import ARCHITECTURES
from exporter.companions import decode_config, ensemble_config
from exporter.config import about_version, classifier_config, contract_in, read_config, serving
from exporter.errors import ExportError
from exporter.golden import PICTURE, Golden, golden_tensor
from gateway.contract import Contract
from inference.contracts.expectation import sha256
from inference.pbtxt import parameters, parse, with_parameters

SPEC = ARCHITECTURES["inception_v3"]  # 299 pixels: nothing may assume 224
GOLDEN = Golden("n03481172 hammer", 0.9731234, "ab12", "cd34")


def test_a_classifier_is_described_to_triton() -> None:
    config = parse(classifier_config("mine", SPEC, 7))
    assert (config.name, config.platform) == ("mine", "tensorflow_savedmodel")
    assert config.max_batch_size >= 16
    assert (config.input[0].name, config.input[0].data_type) == ("image", TYPE_UINT8)
    assert list(config.input[0].dims) == [299, 299, 3]
    assert (config.output[0].name, config.output[0].data_type) == ("probabilities", TYPE_FP32)
    assert list(config.output[0].dims) == [7]
    assert config.output[0].label_filename == "labels.txt"


def test_a_classifier_batches_without_delay_on_one_instance() -> None:
    config = parse(classifier_config("mine", SPEC, 7))
    assert [group.count for group in config.instance_group] == [1]
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.max_queue_delay_microseconds == 0
    assert config.response_cache.enable
    assert list(config.model_warmup[0].inputs["image"].dims) == [299, 299, 3]


def test_the_contract_and_the_golden_picture_travel_with_the_model() -> None:
    found = parameters(classifier_config("mine", SPEC, 7))
    assert Contract.from_parameters(found) == SPEC.contract
    assert base64.b64decode(found["golden_picture"]) == PICTURE.read_bytes()
    assert (found["engine"], found["precision"]) == ("openvino", "auto")


def test_each_version_adds_what_it_must_answer() -> None:
    text = with_parameters(classifier_config("mine", SPEC, 7), about_version(1, "imagenet", GOLDEN))
    second = Golden("n01 cat", 0.5, "ab12", "cd34")
    found = parameters(with_parameters(text, about_version(2, "random", second)))
    assert found["golden_label_v1"] == "n03481172 hammer"
    assert found["golden_probability_v1"] == "0.973123"
    assert (found["golden_label_v2"], found["golden_probability_v2"]) == ("n01 cat", "0.500000")
    assert (found["weights_v1"], found["weights_v2"]) == ("imagenet", "random")
    assert found["weights"] == "random"
    assert found["golden_tensor_sha256"] == "ab12"


def test_an_edited_contract_holds(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(classifier_config("mine", SPEC, 7).replace('"cubic"', '"area"'))
    assert contract_in(path).interpolation == "area"


def test_a_contract_that_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(classifier_config("mine", SPEC, 7).replace('"cubic"', '"nearest"'))
    with pytest.raises(ExportError, match="interpolation"):
        contract_in(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"name: {", r"cannot be read \(1:7"), (b'name: "\xff"', "is not UTF-8")],
    ids=["broken", "not UTF-8"],
)
def test_a_configuration_that_triton_could_not_read_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=rf"/config\.pbtxt {reason}.*: fix it first"):
        read_config(path)


def test_a_new_version_is_served_only_where_it_is_the_first() -> None:
    text = classifier_config("mine", SPEC, 7)
    assert list(parse(text).version_policy.specific.versions) == [1]
    third = parse(serving(text, 3))
    assert list(third.version_policy.specific.versions) == [3]
    added = with_parameters(text, about_version(2, "random", GOLDEN))
    assert list(parse(added).version_policy.specific.versions) == [1]


def test_a_policy_of_the_users_own_is_kept() -> None:
    text = classifier_config("mine", SPEC, 7).replace("specific { versions: [ 1 ] }", "all { }")
    assert serving(text, 3) == text


def test_the_golden_tensor_depends_on_the_contract() -> None:
    small = golden_tensor(SPEC.resized(64).contract)
    assert small.shape == (64, 64, 3)
    assert sha256(small) != sha256(small[::-1])


def test_the_decoder_carries_the_contract() -> None:
    text = decode_config(SPEC.name, SPEC.contract)
    config = parse(text)
    assert (config.name, config.backend) == ("inception_v3_decode", "opencv")
    assert config.input[0].data_type == TYPE_STRING
    assert (config.output[0].data_type, list(config.output[0].dims)) == (TYPE_UINT8, [299, 299, 3])
    assert config.instance_group[0].count > 1
    assert Contract.from_parameters(parameters(text)) == SPEC.contract


def test_the_ensemble_leads_from_bytes_to_probabilities() -> None:
    config = parse(ensemble_config(SPEC.name, 7, 3))
    decode, classify = config.ensemble_scheduling.step
    assert (config.input[0].data_type, list(config.output[0].dims)) == (TYPE_STRING, [7])
    assert (decode.model_name, classify.model_name) == ("inception_v3_decode", "inception_v3")
    assert decode.input_map["image"] == config.input[0].name
    assert classify.input_map["image"] == decode.output_map["tensor"]
    assert classify.output_map["probabilities"] == config.output[0].name
    assert list(config.version_policy.specific.versions) == [3]
