"""Where a version goes in the model repository, and how it gets there: whole, or not at all."""

import ctypes
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from exporter.errors import ExportError
from gateway.terminal import say
from inference.locking import locked
from inference.repository import versions_in
from inference.writing import flush

STAGED = "version"  # not a number: Triton must not take a staged version for one to load
_STAGING = ".export-"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's fcntl.h and fs.h


@dataclass(frozen=True)
class Target:
    """Where one version of a model goes."""

    repository: Path
    model: str
    version: int

    @property
    def model_dir(self) -> Path:
        return self.repository / self.model

    @property
    def version_dir(self) -> Path:
        return self.model_dir / str(self.version)


def plan(repository: Path, model: str, version: int | None, force: bool) -> Target:
    """Choose the version to write, the next free one by default; ExportError if that cannot be."""
    require_writable(repository / model)  # before the weights are fetched, which may take minutes
    existing = versions_in(repository / model)
    if version is None:
        return Target(repository, model, max(existing, default=0) + 1)
    if version in existing and not force:
        raise ExportError(
            f"version {version} of {model} is already in {repository}; "
            "give another --version, or --force to replace it"
        )
    return Target(repository, model, version)


def require_writable(directory: Path) -> None:
    """Raise an ExportError where it is plain that nothing can be written; create nothing."""
    place = next(
        path for path in (directory, *directory.absolute().parents) if os.access(path, os.F_OK)
    )
    if not place.is_dir():
        raise ExportError(f"cannot write to {directory}: {place} is not a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ExportError(f"cannot write to {directory}: {place} is read-only for this user")
    if place == directory and place.stat().st_dev != place.parent.stat().st_dev:
        raise ExportError(
            f"cannot write to {directory}: it is on another file system than {directory.parent},"
            " from where a finished version could not be moved; keep the whole repository there"
            " (MODEL_REPOSITORY)"
        )


@contextmanager
def staging(repository: Path) -> Iterator[Path]:
    """Lend a directory on the repository's own file system, and remove it afterwards.

    The next export removes what a killed one has left.
    """
    with ExitStack() as lock:
        try:
            repository.mkdir(parents=True, exist_ok=True)
            # Others must not sweep a directory that is made, but not yet locked.
            with locked(repository, wait=True):
                _sweep(repository.resolve())
                stage = _stage(repository.resolve(), lock)
        except OSError as error:
            raise ExportError(f"cannot write to {repository}: {error.strerror}") from error
        try:
            yield stage
        except OSError as error:
            raise ExportError(f"cannot write to {repository}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def reserved(target: Target, versions: list[int]) -> Iterator[None]:
    """Keep deployments and other exports of the model out; wait for those at work.

    Raises ExportError if its versions are no longer those with which this export began.
    """
    target.model_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as lock:
        try:
            lock.enter_context(locked(target.model_dir))
        except BlockingIOError:
            with tqdm.external_write_mode(sys.stderr):
                say(f"Waiting for a deployment or another export of {target.model}.", sys.stderr)
            lock.enter_context(locked(target.model_dir, wait=True))
        if versions_in(target.model_dir) != versions:
            raise ExportError(
                f"the versions of {target.model} in {target.repository} have changed during this"
                " export, as by another one; nothing was written: try again"
            )
        yield


def publish(staged: Path, target: Target) -> None:
    """Move a complete version directory to its place, in one step if the file system can do that.

    Its content is on the disk before: after a power failure, Triton must not find half a version.
    """
    for file in filter(Path.is_file, staged.rglob("*")):
        flush(file)
    target.model_dir.mkdir(parents=True, exist_ok=True)
    if not target.version_dir.exists():
        staged.rename(target.version_dir)
    elif not _exchange(staged, target.version_dir):
        target.version_dir.rename(staged.with_name(f"{staged.name}.replaced"))
        staged.rename(target.version_dir)


def _exchange(one: Path, other: Path) -> bool:
    """Let two directories change places at once; tell whether the file system can do that."""
    here = ctypes.c_int(_AT_FDCWD)
    names = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    renameat2 = ctypes.CDLL(None).renameat2
    done: int = renameat2(here, names[0], here, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return done == 0


def _stage(repository: Path, lock: ExitStack) -> Path:
    """Make and lock a directory beside the repository, or in it if nothing can be moved out.

    A stock Triton takes every directory in the repository for a model, even a hidden one, and does
    not start if one has no version. But a container's volume offers no other place.
    """
    inside = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=repository))
    lock.enter_context(locked(inside))
    try:
        beside = repository.parent / inside.name.replace(_STAGING, _beside(repository))
        return inside.rename(beside)
    except OSError:
        return inside


def _beside(repository: Path) -> str:
    """Return how the names of staging directories beside a repository begin."""
    return f".{repository.name}-{_STAGING[1:]}"


def _sweep(repository: Path) -> None:
    """Remove the staging directories whose exports, and thus their locks, are gone.

    Process IDs would not tell: in containers every export may be process 1.
    """
    for parent, prefix in ((repository, _STAGING), (repository.parent, _beside(repository))):
        for path in parent.glob(f"{glob.escape(prefix)}*"):
            with suppress(OSError), locked(path):
                shutil.rmtree(path, ignore_errors=True)
