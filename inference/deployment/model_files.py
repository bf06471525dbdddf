"""One model's files in the repository."""

import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inference.deployment.errors import DeployError
from inference.locking import locked
from inference.pbtxt import PbtxtError, parameters, read, with_field, with_versions
from inference.repository import configurations_in, versions_in
from inference.writing import write_text

_CANDIDATE = re.compile(r"\.(.+)_candidate")


@dataclass(frozen=True)
class ModelFiles:
    """Where a model is; `config_name` is Triton's --model-config-name, usually empty."""

    repository: Path
    model: str
    config_name: str = ""

    @classmethod
    def under_test(cls, repository: Path) -> list["ModelFiles"]:
        """List the models with a version under test, also if that test was killed."""
        found = (_CANDIDATE.fullmatch(path.name) for path in repository.glob(".*"))
        return [cls(repository, match[1]) for match in found if match]

    @property
    def directory(self) -> Path:
        """Name the model's directory."""
        return self.repository / self.model

    @property
    def candidate(self) -> str:
        """Name the model that a version is tested as.

        The launcher ignores names that begin with a dot, so a restart never loads it.
        """
        return f".{self.model}_candidate"

    @property
    def config(self) -> Path:
        """Name the configuration that Triton reads."""
        custom = self.directory / "configs" / f"{self.config_name}.pbtxt"
        return custom if custom.is_file() else self.directory / "config.pbtxt"

    def versions(self) -> list[int]:
        """List the versions on disk, ascending."""
        return versions_in(self.directory)

    def require(self) -> None:
        """Raise DeployError if the repository has no such model."""
        if not self.directory.is_dir() or self.directory.parent != self.repository:
            raise DeployError(
                f"there is no model {self.model} in {self.repository}; set MODEL_REPOSITORY to"
                " the directory the server serves"
            )

    def version(self, number: int) -> Path:
        """Name a version's directory. Raises DeployError if it is not there."""
        self.require()
        if number not in self.versions():
            there = ", ".join(str(version) for version in self.versions()) or "none"
            raise DeployError(
                f"there is no version {number} of {self.model} in {self.repository}; it has"
                f" {there}: export it first"
            )
        return self.directory / str(number)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other deployments and exports of this model out. Raises DeployError if one works."""
        try:
            with locked(self.directory):
                yield
        except BlockingIOError:
            raise DeployError(
                f"another deployment or an export of {self.model} is at work; try again when it has"
                " ended"
            ) from None

    def texts(self) -> dict[Path, str]:
        """Return what each configuration of the model says. Raises PbtxtError."""
        return {path: _text(path) for path in self._configs()}

    def parameters(self) -> dict[str, str]:
        """Return the configuration's `parameters`. Raises DeployError if it is broken."""
        try:
            return parameters(_text(self.config))
        except PbtxtError as exc:
            raise DeployError(f"{self.config} {exc}") from None

    def write(self, texts: Mapping[Path, str]) -> None:
        """Write configurations; what `texts` returned restores them. Raises OSError."""
        for path, text in texts.items():
            write_text(path, text)

    def pin(self, versions: list[int]) -> None:
        """Write which versions are served, so that a restart serves the same."""
        self.write({path: _serving(path, versions) for path in self._configs()})

    def number(self, versions: set[int]) -> None:
        """Write under which numbers an ensemble is served.

        Triton wants a directory for each; a deployment to another server may have removed one.
        """
        for number in versions:
            (self.directory / str(number)).mkdir(exist_ok=True)
        self.pin(sorted(versions))

    def require_changeable(self) -> None:
        """Raise DeployError unless `pin` can change the configuration."""
        for path in self._configs():
            _serving(path, [])

    def remove_empty(self, versions: Iterable[int]) -> None:
        """Remove the directories of these versions, except those that hold something."""
        for number in versions:
            with suppress(OSError):
                (self.directory / str(number)).rmdir()

    def write_candidate(self, version: int) -> None:
        """Make a model of another name with a version, the labels and the config of this one."""
        directory = self.repository / self.candidate
        self.remove_candidate()
        directory.mkdir()
        for entry in self.directory.iterdir():
            mine = entry.name == str(version) or not entry.name.isdigit()
            if mine and entry.name not in ("config.pbtxt", "configs"):
                # Relative: inside a container the repository is mounted elsewhere.
                (directory / entry.name).symlink_to(Path("..", self.model, entry.name))
        text = with_field(_serving(self.config, [version]), "name", f': "{self.candidate}"')
        # The cache would answer with what an earlier candidate of the same number said.
        text = with_field(text, "response_cache", " { enable: false }")
        write_text(directory / "config.pbtxt", text)

    def _configs(self) -> list[Path]:
        """Name the configuration and those of other hosts: all serve the same versions.

        Otherwise a host of another name would begin with old ones, beside the new ensemble.
        """
        return configurations_in(self.directory) or [self.config]

    def candidate_age(self) -> float:
        """Return the seconds since `write_candidate`. Raises OSError if there is nothing of it."""
        return time.time() - (self.repository / self.candidate).stat().st_mtime

    def remove_candidate(self) -> None:
        """Remove what `write_candidate` made, even in a deployment that was killed."""
        shutil.rmtree(self.repository / self.candidate, ignore_errors=True)


def _text(path: Path) -> str:
    """Return what a configuration says, "" if there is none. Raises PbtxtError."""
    return read(path) if path.exists() else ""


def _serving(path: Path, versions: list[int]) -> str:
    """Return a configuration with these versions. Raises DeployError if it is broken."""
    try:
        return with_versions(_text(path), versions)
    except PbtxtError as exc:
        raise DeployError(f"{path} {exc}") from None
