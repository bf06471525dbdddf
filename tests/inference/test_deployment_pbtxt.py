"""Single fields of a config.pbtxt, changed as text."""

import pytest

from inference.deployment.errors import DeployError
from inference.deployment.pbtxt import with_field
from tests.inference.deployed import CONFIG


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name: "a"\n', 'name: "b"\n'),
        ("name : 'a' # name: x\n", 'name: "b" # name: x\n'),
        ("platform: 'x'", "platform: 'x'\nname: \"b\"\n"),
        ("", 'name: "b"\n'),
        ('x { name: "a" }, name: "a"; y: 1', 'x { name: "a" }, name: "b"; y: 1'),
        ('name: "a"\n  "c"\ny: [ { z: 1 } ]', 'name: "b"\ny: [ { z: 1 } ]'),
        ('z < name: "a" >\nname: "a"\nname: "c"', 'z < name: "a" >\nname: "b"\n'),
    ],
    ids=["plain", "spaced", "missing", "empty", "nested", "two literals", "given twice"],
)
def test_only_the_top_level_field_is_replaced(before: str, after: str) -> None:
    assert with_field(before, "name", ': "b"') == after


@pytest.mark.parametrize("text", ["name: {", "x: [1, 2", 'x: "unclosed\n'])
def test_a_broken_configuration_is_refused(text: str) -> None:
    with pytest.raises(DeployError, match=r"config\.pbtxt .*fix it first"):
        with_field(text, "name", ': "b"')


def test_strings_and_comments_hold_no_fields() -> None:
    text = with_field(CONFIG, "version_policy", " { latest { } }")
    assert text == CONFIG + "version_policy { latest { } }\n"
