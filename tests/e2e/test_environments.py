"""When `make` fills an environment again: if its lock file changed, at any time, or Python left.

Tests that are started in the wrong environment say which one is right.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import GATEWAY_PYTHON, HOME, INFERENCE_PYTHON

STAMP, LOCK = ".venv/.gateway", "requirements/gateway.txt"
PAST, FUTURE = 0.0, 4e9


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout whose environment for the gateway is installed."""
    shutil.copy(HOME / "Makefile", tmp_path)
    shutil.copytree(HOME / "requirements", tmp_path / "requirements")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    shutil.copy(tmp_path / "requirements/installer.txt", tmp_path / ".venv/.installer")
    shutil.copy(tmp_path / LOCK, tmp_path / STAMP)
    return tmp_path


def installs(checkout: Path) -> bool:
    """Tell whether `make` would install the gateway's packages."""
    command = ["make", "--dry-run", "--no-print-directory", STAMP]
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(
        command, cwd=checkout, env=environment, check=True, capture_output=True, text=True
    )
    return f"scripts/install .venv {LOCK}" in done.stdout


@pytest.mark.parametrize("time", [PAST, FUTURE])
def test_an_update_is_installed_whatever_its_time(checkout: Path, time: float) -> None:
    (checkout / LOCK).write_text("another==1\n")
    os.utime(checkout / LOCK, (time, time))
    assert installs(checkout)


@pytest.mark.parametrize("time", [PAST, FUTURE])
def test_what_is_installed_is_left_alone_whatever_its_time(checkout: Path, time: float) -> None:
    for path in (*checkout.glob("requirements/*"), checkout / ".venv"):
        os.utime(path, (time, time))
    assert not installs(checkout)


def test_an_environment_whose_python_was_removed_is_filled_again(checkout: Path) -> None:
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to(checkout / "removed")
    assert installs(checkout)


def test_settings_for_another_python_of_the_user_do_not_reach_ours(checkout: Path) -> None:
    show = ["make", "--eval=show: ; @env", "show"]
    others = {"PYTHONHOME": "/usr", "PYTHONPATH": "/usr/lib", "PYTHONINSPECT": "1"}
    environment = {**os.environ, **others, "MAKEFLAGS": "", "PYTHON": sys.executable}
    shown = subprocess.run(
        show, cwd=checkout, env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert f"PYTHON={sys.executable}\n" in shown
    assert not [name for name in others if name in shown]


@pytest.mark.parametrize(
    ("wrong", "named", "right"),
    [
        (GATEWAY_PYTHON, ["tests/inference/test_pbtxt.py::test_any"], INFERENCE_PYTHON),
        (GATEWAY_PYTHON, ["-q", str(HOME / "tests/exporter")], INFERENCE_PYTHON),
        (INFERENCE_PYTHON, ["tests/gateway/test_config.py"], GATEWAY_PYTHON),
        (INFERENCE_PYTHON, [], GATEWAY_PYTHON),
    ],
    ids=["one test", "a directory", "one file", "bare"],
)
def test_the_wrong_environment_names_the_right_one(
    wrong: Path, named: list[str], right: Path
) -> None:
    command = [str(wrong), "-m", "pytest", *named]
    ended = subprocess.run(command, cwd=HOME, check=False, capture_output=True, text=True)
    assert ended.returncode
    assert ended.stderr.count("\n") == 1
    assert f"{right.relative_to(HOME)} -m pytest" in ended.stderr
