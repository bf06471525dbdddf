"""Assembles the backend directory Triton loads its backends from."""

import re
import shutil
from pathlib import Path

from inference.settings import HOME
from inference.tritonserver.installation import Installation

OWN_BACKENDS = HOME / "inference" / "backends"


def assemble_backends(
    installation: Installation, directory: Path, own: Path = OWN_BACKENDS
) -> None:
    """Make a backend directory of Triton's backends and ours."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    _add_python(installation, directory / "python")
    for model in sorted(own.glob("*/model.py")):
        _add_links(model.parent, directory / model.parent.name)
    for backend in sorted(installation.backends.iterdir()):
        if backend.is_dir() and not (directory / backend.name).exists():
            (directory / backend.name).symlink_to(backend.resolve())


def python_based(directory: Path) -> list[str]:
    """Name the backends in a backend directory that run in Python stubs."""
    return ["python", *sorted(model.parent.name for model in directory.glob("*/model.py"))]


def plain(path: Path, link: Path) -> Path:
    """Return a path that a stub can use, if need be a link: without blanks, and in ASCII.

    Neither the locale nor PYTHONUTF8 changes how a stub's Python reads file names.
    """
    if is_plain(path):
        return path
    if not link.is_symlink():
        link.symlink_to(path)
    return link


def is_plain(path: Path) -> bool:
    """Tell whether a stub can use a path, and be started from it: a shell reads its command."""
    return re.fullmatch(r"[A-Za-z0-9_./+,=@%~:-]+", str(path)) is not None


def _add_python(installation: Installation, target: Path) -> None:
    """Add Triton's Python backend as copies.

    Triton changes the stub's mode, and refuses a library whose real path lies elsewhere.
    """
    target.mkdir()
    for part in installation.python_backend.iterdir():
        if part.is_file() and part.name != installation.stub.name:
            shutil.copyfile(part, target / part.name)
    stub = target / installation.stub.name
    shutil.copyfile(installation.stub, stub)
    stub.chmod(0o755)


def _add_links(source: Path, target: Path) -> None:
    """Add one of our backends file by file."""
    target.mkdir()
    for part in source.iterdir():
        if part.name != "__pycache__":
            (target / part.name).symlink_to(part.resolve())
