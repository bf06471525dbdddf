"""A config.pbtxt, read and changed as text."""

import pytest

from inference.pbtxt import PbtxtError, parameter, parameters, parse, with_field, with_parameters
from tests.inference.deployed import CONFIG

THEIRS = """\
# keep me
name: "x"  # and me
parameters {
  key: "weights"
  value { string_value: "theirs" }
}
parameters: { key: "precision" value: { string_value: "f32" } }
"""


@pytest.mark.parametrize("value", ["plain", 'a "quoted" one', "back\\slash", "two\nlines", "für"])
def test_any_text_comes_back_as_it_was(value: str) -> None:
    assert parameters(parameter("key", value)) == {"key": value}


@pytest.mark.parametrize(
    "text",
    [
        'parameters { key: "crop" value { string_value: "none" } }  # mine',
        'name: "x" parameters { key: "crop" value { string_value: "none" } }',
        'parameters: { key: "crop" value: { string_value: "none" } }\n',
        'parameters {\n  key: "crop"\n  value {\n    string_value: "none"\n  }\n}\n',
        "parameters [{ key: 'crop', value: { string_value: 'no' 'ne' } }]",
    ],
    ids=["comment", "behind another", "colons", "lines", "list"],
)
def test_a_parameter_is_replaced_in_whatever_form_it_is_written(text: str) -> None:
    assert parameters(text) == {"crop": "none"}
    changed = with_parameters(text, {"crop": "center"})
    assert parameters(changed) == {"crop": "center"}
    assert "none" not in changed
    assert parse(changed).name == parse(text).name


def test_comments_and_other_parameters_survive() -> None:
    text = with_parameters(THEIRS, {"golden_label_v1": "hammer"})
    assert text == THEIRS + parameter("golden_label_v1", "hammer")


def test_a_list_with_others_stays_and_the_last_of_two_values_holds() -> None:
    pair = """parameters [
      { key: "a" value { string_value: "1" } }, { key: "b" value { string_value: "2" } }
    ]
    """
    assert parameters(with_parameters(pair, {"a": "3"})) == {"a": "3", "b": "2"}


def test_a_line_that_is_replaced_leaves_no_empty_one() -> None:
    text = THEIRS + parameter("other", "1")
    for weights in ("random", "imagenet"):
        text = with_parameters(text, {"weights": weights})
    kept = (*THEIRS.splitlines()[:2], THEIRS.splitlines()[-1], parameter("other", "1").strip())
    assert text.splitlines() == [*kept, parameter("weights", "imagenet").strip()]


def test_a_file_without_a_last_newline_is_continued_on_a_new_line() -> None:
    assert parameters(with_parameters('name: "x"  # mine', {"a": "b"})) == {"a": "b"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name: "a"\n', 'name: "b"\n'),
        ("name : 'a' # name: x\n", 'name: "b" # name: x\n'),
        ("platform: 'x'", "platform: 'x'\nname: \"b\"\n"),
        ("", 'name: "b"\n'),
        ('x { name: "a" }, name: "a"; y: 1', 'x { name: "a" }, name: "b"; y: 1'),
        ('y: 1; name: "a"', 'y: 1; name: "b"'),
        ('name: "a"\n  "c"\ny: [ { z: 1 } ]', 'name: "b"\ny: [ { z: 1 } ]'),
        ('z < name: "a" >\nname: "a"\nname: "c"', 'z < name: "a" >\nname: "b"\n'),
    ],
    ids=["plain", "spaced", "missing", "empty", "nested", "separated", "two literals", "twice"],
)
def test_only_the_top_level_field_is_replaced(before: str, after: str) -> None:
    assert with_field(before, "name", ': "b"') == after


ENDS = "ends in the middle of a field"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, ENDS) for text in ("name: {", "name:", "name", "x: [1, 2")),
        ('\n\nx: "unclosed\n', "cannot be read at line 3"),
    ],
)
def test_a_broken_configuration_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PbtxtError, match=f"^{reason}: fix it first$"):
        with_field(text, "name", ': "b"')


def test_strings_and_comments_hold_no_fields() -> None:
    text = with_field(CONFIG, "version_policy", " { latest { } }")
    assert text == CONFIG + "version_policy { latest { } }\n"
