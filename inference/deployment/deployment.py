"""The order of a deployment: test the new version apart, switch, test again, go back if need be."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.model_names import decode_name, ensemble_name
from inference.contracts.errors import Unreachable
from inference.deployment.errors import DeployError
from inference.deployment.memory import available_memory, require_memory
from inference.deployment.model_files import ModelFiles
from inference.deployment.server import Server
from inference.model_config import is_cached, parameters
from inference.repository import ready_models
from inference.signals import undisturbed


@dataclass(frozen=True)
class Deployment:
    """One model on one server.

    Triton answers unversioned requests with the highest version that is loaded. So a version is
    tested under another name before the model itself is told to load it.
    """

    files: ModelFiles
    server: Server
    say: Callable[[str], None]
    available: Callable[[], int] = available_memory

    def deploy(self, version: int, keep: int) -> None:
        """Serve `version` to unversioned requests, and `keep` older ones beside it.

        Raises DeployError; what was served before is then still served.
        """
        self.files.require()
        with self.files.locked():
            self._deploy(version, keep)

    def roll_back(self, keep: int) -> None:
        """Serve the version before the one that serves now. Raises DeployError if there is none.

        A client that asks Triton itself for labels may get UNAVAILABLE once, and should try again:
        new requests go to the newest version until the moment it is unloaded.
        """
        self.files.require()
        with self.files.locked():
            serving = self.server.versions(self.files.model)
            if not serving:
                raise DeployError(
                    f"{self.files.model} is not loaded: there is nothing to roll back"
                )
            newest = max(serving)
            older = [v for v in serving if v < newest]
            older = older or [v for v in self.files.versions() if v < newest]
            if not older:
                raise DeployError(f"there is no version of {self.files.model} before {newest}")
            self._deploy(max(older), keep, proven=serving)

    def _deploy(self, version: int, keep: int, proven: Collection[int] = ()) -> None:
        """Serve a version; it is tested apart unless it is one of the `proven` ones."""
        self.files.version(version)
        before = self.server.versions(self.files.model)
        older = sorted((v for v in before if v < version), reverse=True)[:keep]
        self._require_files(older)
        self._require_golden(version)
        if version not in proven:
            self._require_same_answers(version)
        for each in self._all_files():
            each.require_changeable()
        serve = [version, *older]
        with self._candidate(version):
            if there := self._still_there(before):
                # A restart or a reload by the watchdog must not bring an untested version in.
                self.files.pin(sorted(there))
            # A loaded version may have been replaced on disk since, so it is tested too.
            if version not in proven:
                self._require_memory([version], f"Loading version {version} beside the others")
                self._try_apart(version)
                # Triton also reloads the old versions if config.pbtxt has changed since.
                self._require_memory(serve, f"Switching to version {_listed(serve)}")
        self._switch(serve, before)

    def _still_there(self, versions: set[int]) -> set[int]:
        """Leave out the versions that Triton has loaded, but could not load again."""
        return versions.intersection(self.files.versions())

    def _require_files(self, loaded: list[int]) -> None:
        """Refuse to keep a version whose files are gone. Raises DeployError."""
        if gone := set(loaded).difference(self.files.versions()):
            raise DeployError(
                f"version {_listed(gone)} of {self.files.model} is loaded, but its files are gone"
                f" from {self.files.directory}, so a rollback to it is impossible: restore them,"
                " or unload it with --keep 0"
            )

    def _require_golden(self, version: int) -> None:
        """Refuse a version that no self-test could judge. Raises DeployError."""
        if f"golden_label_v{version}" not in self.files.parameters():
            raise DeployError(
                f"{self.files.config} does not say what version {version} answers for the golden"
                " picture, so it cannot be tested: to serve it nevertheless, let version_policy"
                " name it and restart the server (model_repository/README.md)"
            )

    @contextmanager
    def _candidate(self, version: int) -> Iterator[None]:
        """Have the version in the repository under another name, too, until the block ends.

        Raises DeployError if the server does not see it: then it reads another repository.
        """
        files, server = self.files, self.server
        if server.versions(files.candidate):  # a deployment was killed
            server.unload(files.candidate)
        try:
            files.write_candidate(version)
            if not server.finds(files.candidate):
                raise DeployError(
                    f"the server does not serve {files.repository}: set MODEL_REPOSITORY to the"
                    " directory that it serves"
                )
            yield
        finally:
            with undisturbed():
                files.remove_candidate()

    def _require_same_answers(self, version: int) -> None:
        """Refuse new weights under a number that is known to the cache. Raises DeployError.

        Triton's response cache knows a version by its number alone, and cannot be emptied.
        """
        config = self.server.config(self.files.model)
        was = _about(version, parameters(config))
        if was and is_cached(config) and was != _about(version, self.files.parameters()):
            raise DeployError(
                f"version {version} was replaced after the server had read of it, and Triton's"
                " response cache may still give the old answers: restart the server, or export"
                " it under a new number"
            )

    def _require_memory(self, versions: list[int], purpose: str) -> None:
        """Refuse to load versions that do not fit. Raises DeployError."""
        directories = [self.files.version(version) for version in versions]
        require_memory(directories, self.available(), purpose)

    def _try_apart(self, version: int) -> None:
        """Self-test a version under another name. Raises DeployError."""
        try:
            self._test_apart(version)
        except (DeployError, Unreachable) as error:
            raise DeployError(f"version {version} is not fit to serve: {error}") from None

    def _test_apart(self, version: int) -> None:
        """Load the candidate, test it and unload it. Raises DeployError."""
        files, server = self.files, self.server
        title = f"{files.model} v{version}, tested separately"
        try:
            server.load(files.candidate)
            server.test(files.candidate, version, title)
        finally:
            with undisturbed():  # Triton forgets the state of a model whose directory is gone
                server.unload(files.candidate)

    def _switch(self, serve: list[int], before: set[int]) -> None:
        """Make the model serve these versions, and test the first; go back if that fails."""
        files, server, version = self.files, self.server, serve[0]
        kept = [(each, each.texts()) for each in self._all_files()]
        try:
            files.pin(serve)
            self._pin_ensemble(version)  # now: a start after a kill must not mix the numbers up
            server.load(files.model)
            self._load_companions(version)
            loaded = server.versions(files.model)
            if loaded != set(serve):
                raise DeployError(f"Triton loaded the versions {_listed(loaded)}")
            server.test(files.model, version, f"{files.model} v{version}, in service")
        except BaseException as error:
            with undisturbed():
                outcome = self._go_back(before, kept)
            if not isinstance(error, DeployError | Unreachable | OSError):
                self.say(f"interrupted in service; {outcome}")
                raise
            raise DeployError(f"version {version} failed in service: {error}; {outcome}") from None
        self.say(_summary(files.model, serve, before))

    def _go_back(self, before: set[int], kept: list[tuple[ModelFiles, dict[Path, str]]]) -> str:
        """Serve what was served before, now or from the server's next start; say which."""
        there = self._still_there(before)
        try:
            if there:
                self.files.pin(sorted(there))
                self._pin_ensemble(max(there))  # before the server is asked: it may be gone
            elif not before:
                for files, texts in kept:
                    files.write(texts)
            if not before:
                self.server.unload(self.files.model)
                return "nothing is served"
            if not there:
                serving = _listed(self.server.versions(self.files.model))
                return f"the previous version's files are gone; version {serving} serves"
            self.server.load(self.files.model)
            self._load_companions(max(there))
        except OSError as error:  # such as a full disk, on which the switch failed, too
            return f"the rollback failed too: {error}; the deployed version may go on serving"
        except (DeployError, Unreachable) as error:
            then = f"serves version {max(there)}" if there else "serves what config.pbtxt says"
            return f"the rollback failed too: {error}; after a restart, the server {then}"
        return f"version {max(there)} serves again"

    def _pin_ensemble(self, version: int) -> None:
        """Write the number that the ensemble has from the server's next start on."""
        if ensemble := self._ensemble():
            ensemble.number({version})

    def _ensemble(self) -> ModelFiles | None:
        """Return the files of the ensemble beside the model, if there is one."""
        name = ensemble_name(self.files.model)
        there = name in ready_models(self.files.repository)
        return ModelFiles(self.files.repository, name) if there else None

    def _all_files(self) -> list[ModelFiles]:
        """Return the files of the model and of its ensemble, if there is one."""
        return [each for each in (self.files, self._ensemble()) if each]

    def _load_companions(self, version: int) -> None:
        """Load the decoder unless it is loaded, and the ensemble under the version that serves.

        The ensemble leads to whatever version serves; its number tells its clients which one.
        """
        decode = decode_name(self.files.model)
        if decode in ready_models(self.files.repository) and not self.server.versions(decode):
            self.server.load(decode)
        if ensemble := self._ensemble():
            self._renumber(ensemble, version)

    def _renumber(self, ensemble: ModelFiles, version: int) -> None:
        """Serve an ensemble under this number alone."""
        before = self.server.versions(ensemble.model)
        # Beside the old number first, until that has answered all its requests.
        self._serve(ensemble, before | {version})
        for number in before:
            if number < version:  # new requests go to the highest
                self.server.await_quiet(ensemble.model, number)
        self._serve(ensemble, {version})
        ensemble.remove_empty(set(ensemble.versions()) - {version})

    def _serve(self, ensemble: ModelFiles, numbers: set[int]) -> None:
        """Serve an ensemble under these numbers, unless it already is."""
        if numbers != self.server.versions(ensemble.model):
            ensemble.number(numbers)
            self.server.load(ensemble.model)


def _about(version: int, stated: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters about one version: its weights, and its golden answer."""
    return {name: text for name, text in stated.items() if name.endswith(f"_v{version}")}


def _summary(model: str, serve: list[int], before: set[int]) -> str:
    version, *others = serve
    gone = sorted(before - set(serve))
    parts = [f"{model}: version {version} serves"]
    if others:
        parts.append(f"still addressable: {_listed(others)}")
    if gone:
        parts.append(f"unloaded: {_listed(gone)}")
    return "; ".join(parts)


def _listed(versions: list[int] | set[int]) -> str:
    return " and ".join(str(version) for version in sorted(versions)) or "none"
