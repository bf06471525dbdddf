"""The settings of `make serve`: README.md lists them all, and no others."""

import re
from dataclasses import fields

from gateway.config import Settings
from tests.places import HOME

ROW = re.compile(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", re.MULTILINE)
ELSEWHERE = {"WEIGHTS", "TUNE"}  # read by the exporter and by serve.py
INTERNAL = {"TRITON_READY_FILE"}  # from serve.py to the launcher


def test_the_readme_lists_exactly_the_settings() -> None:
    rows = ROW.findall((HOME / "README.md").read_text())
    listed = re.findall(r"[A-Z_]+", " ".join(rows))
    gateway = {entry.name.upper() for entry in fields(Settings)}
    source = (HOME / "inference/settings.py").read_text()
    launcher = set(re.findall(r'\(env, "([A-Z_]+)"', source))
    assert sorted(listed) == sorted((gateway | launcher | ELSEWHERE) - INTERNAL)
