import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from exporter.pbtxt import (
    parameter,
    unread_parameters,
    with_parameters,
    written_parameters,
)

THEIRS = """\
# keep me
name: "x"  # and me
parameters {
  key: "weights"
  value { string_value: "theirs" }
}
parameters: { key: "precision" value: { string_value: "f32" } }
"""


def parsed(text: str) -> dict[str, str]:
    config = text_format.Parse(text, ModelConfig())
    return {key: value.string_value for key, value in config.parameters.items()}


@pytest.mark.parametrize("value", ["plain", 'a "quoted" one', "back\\slash", "two\nlines", "für"])
def test_any_text_comes_back_as_it_was(value: str) -> None:
    assert parsed(parameter("key", value)) == {"key": value}
    assert written_parameters(parameter("key", value)) == {"key": value}


@pytest.mark.parametrize(
    "text",
    [
        'parameters { key: "crop" value { string_value: "none" } }  # mine',
        '  parameters { key: "crop" value { string_value: "none" } }',
        'parameters: { key: "crop" value: { string_value: "none" } }\n',
        'parameters {\n  key: "crop"\n  value {\n    string_value: "none"\n  }\n}\n',
    ],
    ids=["comment", "indented", "colons", "lines"],
)
def test_what_a_person_writes_is_read_as_triton_reads_it(text: str) -> None:
    assert written_parameters(text) == parsed(text) == {"crop": "none"}
    assert unread_parameters(text, ["crop", "width"]) == []


def test_a_form_that_is_not_read_is_known() -> None:
    text = "parameters [{ key: 'crop', value: { string_value: 'none' } }]"
    assert parsed(text) == {"crop": "none"}
    assert unread_parameters(text, ["crop", "width"]) == ["crop"]


def test_comments_and_other_parameters_survive() -> None:
    text = with_parameters(THEIRS, {"golden_label_v1": "hammer"})
    assert text == THEIRS + parameter("golden_label_v1", "hammer")
    assert parsed(text) == {"weights": "theirs", "precision": "f32", "golden_label_v1": "hammer"}


def test_the_last_of_two_values_holds() -> None:
    assert parsed(with_parameters(THEIRS, {"weights": "random"}))["weights"] == "random"


def test_our_own_lines_are_replaced_not_repeated() -> None:
    once = with_parameters(THEIRS, {"weights": "random", "other": "1"})
    twice = with_parameters(once, {"weights": "imagenet"})
    assert parsed(twice)["weights"] == "imagenet"
    assert parsed(twice)["other"] == "1"
    assert "random" not in twice


def test_a_file_without_a_last_newline_is_continued_on_a_new_line() -> None:
    assert parsed(with_parameters('name: "x"  # mine', {"a": "b"})) == {"a": "b"}
