"""Finding tritonserver and naming what it lacks."""

import os
import sys
from pathlib import Path

import pytest

from inference.errors import LaunchError
from inference.tritonserver.installation import (
    PYTHON,
    check_glibc,
    check_libpython,
    find_installation,
)


def make_image(root: Path) -> Path:
    """Imitate the tree of an NGC image."""
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tritonserver").write_text("")
    (root / "backends" / "python").mkdir(parents=True)
    (root / "backends" / "python" / "triton_python_backend_stub").write_text("")
    return root


def test_wheel_is_found_and_complete() -> None:
    installation = find_installation()
    assert installation.server.is_file()
    assert (installation.python_backend / "libtriton_python.so").is_file()
    assert (installation.caches / "local").is_dir()
    assert PYTHON in installation.stub.parts
    assert installation.libraries[0].name == "nvidia_pytriton.libs"


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no directory in which Python would find the wheel; its own library it does need."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])


def test_server_of_an_ngc_image_is_found_without_the_wheel(
    tmp_path: Path, without_wheel: None
) -> None:
    root = make_image(tmp_path / "tritonserver")
    installation = find_installation(ngc=root)
    assert installation.server == root / "bin" / "tritonserver"
    assert installation.stub == root / "backends" / "python" / "triton_python_backend_stub"


def test_machine_without_triton_is_told_what_to_install(
    tmp_path: Path, without_wheel: None
) -> None:
    with pytest.raises(LaunchError, match=r"requirements/inference\.txt"):
        find_installation(ngc=tmp_path / "absent")


def test_wheel_on_a_system_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.31")
    with pytest.raises(LaunchError, match=r"glibc 2\.35 or newer"):
        find_installation()


@pytest.mark.parametrize("version", ["glibc 2.35", "glibc 2.41", "glibc 3.0"])
def test_glibc_that_is_new_enough_passes(version: str) -> None:
    check_glibc(version)


@pytest.mark.parametrize("version", ["glibc 2.31", "glibc 2.9", "", "musl 1.2"])
def test_old_or_other_c_library_is_refused_by_name(version: str) -> None:
    with pytest.raises(LaunchError, match=r"glibc 2\.35 or newer.*Debian 12"):
        check_glibc(version)


def test_missing_stub_names_the_python_that_works(tmp_path: Path, without_wheel: None) -> None:
    root = make_image(tmp_path / "tritonserver")
    (root / "backends" / "python" / "triton_python_backend_stub").unlink()
    with pytest.raises(LaunchError, match=r"Python 3\.11"):
        find_installation(ngc=root)


def test_missing_shared_python_names_its_package() -> None:
    with pytest.raises(LaunchError, match=rf"apt-get install libpython{PYTHON}"):
        check_libpython((), name="libpython9.99.so.1.0")


def test_shared_python_beside_the_interpreter_is_enough(tmp_path: Path) -> None:
    (tmp_path / "libpython9.99.so.1.0").write_text("")
    check_libpython((tmp_path,), name="libpython9.99.so.1.0")
