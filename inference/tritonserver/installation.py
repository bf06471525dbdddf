"""Finds a tritonserver on this machine and checks what it needs before it is started."""

import ctypes
import importlib.util
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from inference.errors import LaunchError

NGC_ROOT = Path("/opt/tritonserver")
LEAST_GLIBC = (2, 35)
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Installation:
    """Where the server, its Python backend, its caches and its shared libraries are."""

    server: Path
    backends: Path
    caches: Path
    stub: Path
    libraries: tuple[Path, ...]

    @property
    def python_backend(self) -> Path:
        """Name the directory of Triton's own Python backend."""
        return self.backends / "python"


def find_installation(ngc: Path = NGC_ROOT) -> Installation:
    """Find the wheel's server, else that of an NGC image. Raises LaunchError with a remedy."""
    site = _wheel_site()
    if site and (site / "pytriton/tritonserver/bin/tritonserver").is_file():
        check_glibc(_glibc())
        root = site / "pytriton/tritonserver"
        stub = root / "python_backend_stubs" / PYTHON
        installation = _installed(root, stub, site / "nvidia_pytriton.libs")
    elif (ngc / "bin/tritonserver").is_file():
        installation = _installed(ngc, ngc / "backends/python", ngc / "lib")
    else:
        raise LaunchError(
            "No tritonserver found: install the wheel with `pip install -r"
            f" requirements/inference.txt`, or run inside an NGC image that has {ngc}."
        )
    check_stub(installation.stub)
    check_libpython(installation.libraries)
    return installation


def _wheel_site() -> Path | None:
    """Name the site-packages directory that holds the wheel, without importing it."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).parent


def _installed(root: Path, stub: Path, libraries: Path) -> Installation:
    """Describe a server below `root`, and the directories of its stub and its libraries."""
    return Installation(
        server=root / "bin" / "tritonserver",
        backends=root / "backends",
        caches=root / "caches",
        stub=stub / "triton_python_backend_stub",
        libraries=(libraries, Path(sysconfig.get_config_var("LIBDIR"))),
    )


def _glibc() -> str:
    """Name the C library, e.g. "glibc 2.36"; empty on others such as musl."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return ""


def check_glibc(version: str) -> None:
    """Refuse a C library that is too old for the wheel. Raises LaunchError."""
    name, _, number = version.partition(" ")
    parts = tuple(int(part) for part in number.split(".")[:2] if part.isdigit())
    if name != "glibc" or parts < LEAST_GLIBC:
        raise LaunchError(
            f"Triton's wheel needs glibc {LEAST_GLIBC[0]}.{LEAST_GLIBC[1]} or newer, but this"
            f" system has {version or 'another C library'}: use Debian 12, Ubuntu 22.04 or newer,"
            " or the container image."
        )


def check_stub(stub: Path) -> None:
    """Refuse a Python for which Triton brings no stub. Raises LaunchError."""
    if not stub.is_file():
        raise LaunchError(
            f"Triton has no Python backend for Python {PYTHON} ({stub} is missing):"
            " run the launcher with Python 3.11."
        )


def check_libpython(libraries: tuple[Path, ...], name: str = f"libpython{PYTHON}.so.1.0") -> None:
    """Refuse a system without the shared Python library the stub links. Raises LaunchError."""
    if any((directory / name).exists() for directory in libraries):
        return
    try:
        ctypes.CDLL(name)
    except OSError:
        raise LaunchError(
            f"{name} is missing, so Triton could not load any model:"
            f" run `apt-get install libpython{PYTHON}` or use a Python built with --enable-shared."
        ) from None
