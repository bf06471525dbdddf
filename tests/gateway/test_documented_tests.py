"""The commands of docs/reliability.md: their tests exist, and the environment is the right one."""

import re

import pytest

from tests.environment import OF_INFERENCE
from tests.places import HOME

COMMANDS = re.findall(r"`([PQ]) (tests/[^`]+)`", (HOME / "docs/reliability.md").read_text())


@pytest.mark.parametrize(("environment", "command"), COMMANDS)
def test_the_tests_of_a_row_exist(environment: str, command: str) -> None:
    paths, _, chosen = command.partition(" -k ")
    source = "".join((HOME / path).read_text() for path in paths.split())
    names = re.findall(r'def test_\w+|\("\w+",', source)  # or what a test is given first
    for word in set(re.findall(r"\w+", chosen)) - {"and", "or", "not"}:
        assert any(word in name for name in names), word
    directories = {path.split("/")[1] for path in paths.split()}
    assert {each in OF_INFERENCE for each in directories} == {environment == "Q"}
