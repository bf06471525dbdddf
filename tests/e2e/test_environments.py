"""When `make` fills an environment again: if its lock file changed, at any time, or Python left.

And which one it fills: that of its own checkout, wherever that was copied from, and that once.

Tests that are started in the wrong environment say which one is right.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from inference.locking import locked
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


def start_make(checkout: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = ["make", "--no-print-directory", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True
    )


def make(checkout: Path, *arguments: str) -> str:
    """Run `make`, and return what it prints."""
    with start_make(checkout, *arguments) as process:
        said = process.communicate()[0]
    assert process.returncode == 0
    return said


def installs(checkout: Path) -> bool:
    """Tell whether `make` would install the gateway's packages."""
    return f"scripts/install .venv {LOCK}" in make(checkout, "--dry-run", STAMP)


def lock_package(lock: Path, directory: Path) -> None:
    """Make a package `probe`, and let a lock file ask for it alone."""
    wheel = directory / "probe-1-py3-none-any.whl"
    about = {"METADATA": "Metadata-Version: 2.1\nName: probe\nVersion: 1\n"}
    about["WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    about["RECORD"] = "".join(f"probe-1.dist-info/{name},,\n" for name in (*about, "RECORD"))
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in about.items():
            archive.writestr(f"probe-1.dist-info/{name}", text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock.write_text(f"probe @ {wheel.as_uri()} --hash=sha256:{digest}\n")


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


def test_a_copied_checkout_installs_into_its_own_environment(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shutil.rmtree(checkout / ".venv")
    shutil.copytree(HOME / "scripts", checkout / "scripts")
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=checkout, check=True)
    copy = tmp_path_factory.mktemp("copies") / "copy"
    shutil.copytree(checkout, copy, symlinks=True)
    lock_package(copy / "requirements/installer.txt", copy)
    make(copy, ".venv/.installer")
    assert list(copy.glob(".venv/lib/*/site-packages/probe-*"))
    assert not list(checkout.glob(".venv/lib/*/site-packages/probe-*"))


def test_two_at_once_fill_an_environment_one_after_the_other(checkout: Path) -> None:
    shutil.copytree(HOME / "scripts", checkout / "scripts")
    (checkout / LOCK).write_text("another==1\n")
    gate, calls, uv = checkout / "gate", checkout / "calls", checkout / ".venv/bin/uv"
    os.mkfifo(gate)
    uv.write_text(f"#!/bin/sh\necho call >>{calls}\n[ ! -e {gate} ] || cat <{gate}\n")
    uv.chmod(0o755)
    first = start_make(checkout, STAMP)
    with gate.open("w"):  # opens once uv waits there
        second = start_make(checkout, STAMP)
        assert second.stdout
        said = second.stdout.readline()
        gate.unlink()
    for process in (first, second):
        process.communicate()
        assert process.returncode == 0
    assert "waiting for another installation" in said
    assert calls.read_text() == "call\n"


@pytest.mark.parametrize("used", [".cache/run", "another one"])
def test_nothing_is_removed_under_a_running_server(
    checkout: Path, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGELENS_RUNTIME_DIR", "another one")  # of this server or of the next
    run = checkout / ".cache/run"
    for directory in (run, checkout / "another one"):
        directory.mkdir(parents=True)
    with locked(checkout / used), start_make(checkout, "clean") as process:  # as the launcher does
        process.communicate()
    assert process.returncode
    assert run.exists()
    assert (checkout / ".venv").exists()
    make(checkout, "clean")
    assert not run.exists()


@pytest.mark.parametrize("target", [".venv/.installer", STAMP, ".venv-inference/bin/python"])
def test_an_environment_of_another_user_is_refused_with_advice(checkout: Path, target: str) -> None:
    shutil.copytree(HOME / "scripts", checkout / "scripts")
    environment, stamp = checkout / Path(target).parts[0], checkout / target
    environment.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    environment.chmod(0o500)
    unprivileged = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    command = [*(unprivileged if os.getuid() == 0 else []), "make", target]
    ended = subprocess.run(command, cwd=checkout, check=False, capture_output=True, text=True)
    environment.chmod(0o700)
    said = f"edgelens: user {os.getuid()} may not write to {environment}: run make as the user"
    assert ended.stderr.startswith(said)


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
