import subprocess
import sys
from pathlib import Path

import pytest

from exporter.command import main

HOME = Path(__file__).resolve().parents[2]


def test_the_script_says_in_one_line_that_a_model_is_missing() -> None:
    command = [sys.executable, "export_model.py"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("export_model: name a model: vgg16, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["vgg61"],
        ["vgg16", "--version", "0"],
        ["vgg16", "--version", "x"],
        ["vgg16", "--min-agreement", "95"],
        ["--list", "--default"],
    ],
    ids=" ".join,
)
def test_a_mistake_on_the_command_line_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "error:" in capsys.readouterr().err
