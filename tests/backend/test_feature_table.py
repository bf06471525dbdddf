"""The feature table of inference/README.md names a test for what it claims."""

import re
from pathlib import Path

from tests.places import HOME

HERE = Path(__file__).parent
README = HOME / "inference/README.md"


def rows():
    table = README.read_text().partition("| Feature of NVIDIA's backend")[2]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:] if line]
    return {row[0]: row[-1] for row in cells}


def test_every_feature_names_tests_that_exist():
    source = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    for feature, tests in rows().items():
        named = re.findall(r"`(test_\w+)`", tests)
        assert named, feature
        for name in named:
            assert f"def {name}(" in source, (feature, name)


def test_the_table_is_found():
    assert len(rows()) > 30
