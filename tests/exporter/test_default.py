import subprocess
import sys
from pathlib import Path

import pytest

from exporter.default import _ready, ensure_default

LIGHT = """
import sys
from exporter.command import main
status = main(["--default", "--repository", sys.argv[1]])
sys.exit(status or "tensorflow" in sys.modules)
"""


def test_a_ready_model_is_left_alone_without_importing_tensorflow(exported: Path) -> None:
    command = [sys.executable, "-c", LIGHT, str(exported)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_any_model_of_the_users_counts_as_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine/3").mkdir(parents=True)
    ensure_default(tmp_path, "")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert capsys.readouterr().err == ""


def test_a_setting_that_has_no_effect_is_said_to_have_none(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_default(exported, "mine.h5")
    shown = capsys.readouterr().err
    assert shown.startswith("edgelens: WEIGHTS is ignored")
    assert "export_model.py vgg16 --weights mine.h5" in shown


@pytest.mark.parametrize("name", ["vgg16_decode", "vgg16_image", ".export-1-x"])
def test_what_classifies_nothing_is_not_ready(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "1").mkdir(parents=True)
    (tmp_path / "vgg16").mkdir()
    assert _ready(tmp_path) == []
