"""OpenVINO and NNCF keep to themselves that they are used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import HOME

SILENCED = ("CI", "TF_BUILD", "JENKINS_URL", "NNCF_CI", "NNCF_DEV")  # by these, nothing is reported


@pytest.mark.parametrize(
    "module", ["inference.backends.tensorflow.engines", "exporter.int8_variant"]
)
def test_nothing_that_uses_openvino_makes_an_identifier_to_report_it(
    tmp_path: Path, module: str
) -> None:
    env = {name: text for name, text in os.environ.items() if name not in SILENCED}
    command = [sys.executable, "-c", f"import {module}"]
    subprocess.run(command, cwd=HOME, env=env | {"HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []
