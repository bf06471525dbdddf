import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from exporter.command import main
from tests.places import HOME

BARE = [sys.executable, "-S", "export_model.py"]  # an interpreter without any packages


def test_the_script_says_in_one_line_that_a_model_is_missing() -> None:
    command = [sys.executable, "export_model.py"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("export_model: name a model: vgg16, ")
    assert done.stderr.count("\n") == 1


def test_a_full_disk_behind_its_output_is_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "export_model.py", "--list"]
        done = subprocess.run(command, cwd=HOME, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_neither_is_one_behind_what_it_says_of_the_default(tmp_path: Path) -> None:
    (tmp_path / "vgg16/1").mkdir(parents=True)
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "export_model.py", "--default", "--repository", str(tmp_path)]
        environment = {**os.environ, "WEIGHTS": "mine.h5"}
        done = subprocess.run(command, cwd=HOME, env=environment, stderr=full)
    assert done.returncode == 0


def test_a_full_disk_under_the_repository_is_one_sentence(tmp_path: Path) -> None:
    """A limit of the files' size stands in for it: Triton must not find half a version either."""
    command = [sys.executable, "export_model.py", "mobilenet_v3_small", "--weights", "random"]
    done = subprocess.run(
        [*command, "--repository", str(tmp_path / "models")],
        cwd=HOME,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
    )
    assert done.returncode == 1
    assert done.stderr == f"export_model: cannot write to {tmp_path}/models: File too large\n"
    assert list((tmp_path / "models").iterdir()) == []


def test_a_full_disk_without_room_for_temporary_files_is_one_sentence(tmp_path: Path) -> None:
    command = ["prlimit", "--fsize=0", sys.executable, "export_model.py", "mobilenet_v3_small"]
    options = ["--weights", "random", "--repository", str(tmp_path)]
    done = subprocess.run([*command, *options], cwd=HOME, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("export_model: No usable temporary directory found in ")
    assert done.stderr.count("\n") == 1


def test_weights_of_spaces_are_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vgg16/1").mkdir(parents=True)
    monkeypatch.setenv("WEIGHTS", " ")
    assert main(["--default", "--repository", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a directory that holds the script and no environment."""
    shutil.copy(HOME / "export_model.py", tmp_path)
    return tmp_path


def test_the_script_finds_the_environment_that_has_its_packages() -> None:
    done = subprocess.run([*BARE, "--list"], cwd=HOME, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("vgg16")


def test_the_environment_gets_the_whole_command_line(elsewhere: Path) -> None:
    python = elsewhere / ".venv-inference/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "<%s>" "$@"\nexit 3\n')
    python.chmod(0o755)
    command = [*BARE, "vgg16", "--weights", "my file.h5"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
    assert done.stdout == "<export_model.py><vgg16><--weights><my file.h5>"
    assert done.returncode == 3


@pytest.mark.parametrize("broken", [False, True], ids=["no-environment", "an-unfinished-one"])
def test_missing_packages_are_one_sentence(elsewhere: Path, broken: bool) -> None:
    if broken:
        environment = elsewhere / ".venv-inference"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    done = subprocess.run([*BARE, "--list"], cwd=elsewhere, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "export_model: its packages are not installed; run `make serve` or `make model` first\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vgg61"], "'vgg61' cannot be used: give one of vgg16, "),
        (["pets"], "; a name of your own is --name (with make: MODEL_NAME=)"),
        (["vgg16", "--name", "my model"], "'my model' cannot be used: give at most 121 letters"),
        (["vgg16", "--name", 122 * "m"], "cannot be used: give at most 121 letters"),
        (["vgg16", "--name", "mine_image"], "'mine_image' cannot be used"),
        (["vgg16", "--name=-mine"], "'-mine' cannot be used"),
        (["vgg16", "--version", "0"], "'0' cannot be used: give a whole number of 1 or more"),
        (["vgg16", "--version", "x"], "'x' cannot be used: give a whole number of 1 or more"),
        (["vgg16", "--min-agreement", "95"], "'95' cannot be used: give a number from 0 to 1"),
        (["--list", "--default"], "not allowed with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_on_the_command_line_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_repository_in_an_unknown_home_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_REPOSITORY", "~nobody-of-this-name/models")
    assert main(["--default"]) == 1
    assert capsys.readouterr().err.startswith("export_model: MODEL_REPOSITORY='~nobody")


def test_a_repository_that_cannot_be_written_is_told_before_the_weights_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository, weights = tmp_path / "file", tmp_path / "weights.h5"
    for path in (repository, weights):
        path.touch()
    command = ["vgg16", "--weights", str(weights), "--repository", str(repository)]
    assert main(command) == 1
    assert "cannot write to" in capsys.readouterr().err


def test_weights_that_cannot_be_looked_at_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(tmp_path / ("long" * 100))
    assert main(["vgg16", "--weights", weights, "--repository", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"export_model: cannot read {weights}: File name too long\n"


@pytest.mark.parametrize("name", ["weights.keras", "weights.h5"])
def test_weights_of_somebody_else_are_not_called_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    weights = tmp_path / name
    weights.write_bytes(b"secret")
    monkeypatch.setattr(Path, "open", refuse)
    command = ["vgg16", "--weights", str(weights), "--repository", str(tmp_path)]
    assert main(command) == 1
    assert capsys.readouterr().err == f"export_model: cannot read {weights}: Permission denied\n"


def test_pictures_of_somebody_else_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "iterdir", refuse)
    command = ["vgg16", "--quantize", str(tmp_path), "--repository", str(tmp_path / "models")]
    assert main(command) == 1
    told = f"cannot read the pictures in {tmp_path}: Permission denied"
    assert capsys.readouterr().err == f"export_model: {told}\n"


def refuse(*_: object, **__: object) -> NoReturn:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
