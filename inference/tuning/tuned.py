"""The configuration of one model for one host: `configs/<host>.pbtxt` beside config.pbtxt."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from gateway.setting import SettingError
from inference.errors import LaunchError
from inference.locking import locked
from inference.pbtxt import PbtxtError, parse, read
from inference.repository import require_models
from inference.settings import Settings
from inference.tuning import MARK
from inference.tuning.candidate import Candidate
from inference.writing import write_text


@dataclass(frozen=True)
class Tuned:
    """Where the file is: `name` is Triton's --model-config-name, usually the host's."""

    model: Path
    name: str

    @classmethod
    def find(cls, settings: Settings, model: str | None) -> "Tuned":
        """Find a model to tune, by default the only one. Raises LaunchError, SettingError."""
        name, repository = settings.model_config_name, settings.repository
        if not name:
            raise SettingError("TRITON_MODEL_CONFIG_NAME is none: unset it to tune for this host.")
        there = [cls(repository / each, name) for each in require_models(repository)]
        tunable = {each.model.name: each for each in there if each.computes()}
        if model is None and len(tunable) == 1:
            return next(iter(tunable.values()))
        if model not in tunable:
            wrong = (
                f"There is no model {model} to tune in {repository}" if model else "Name a model"
            )
            raise LaunchError(f"{wrong}; those that can be tuned: {', '.join(tunable) or 'none'}.")
        return tunable[model]

    @property
    def path(self) -> Path:
        """Name the configuration, which exists only if it is faster than the default."""
        return self.model / "configs" / f"{self.name}.pbtxt"

    @property
    def curve(self) -> Path:
        """Name the picture of what was measured, which exists once the model has been tuned."""
        return self.path.with_suffix(".svg")

    def default(self) -> Any:
        """Read config.pbtxt, which may be missing, as a `ModelConfig`. Raises LaunchError."""
        return _read(self.model / "config.pbtxt")

    def computes(self) -> bool:
        """Tell whether the model does more than decode or pass requests on to other models."""
        config = self.default()
        return not (config.platform == "ensemble" or config.backend == "opencv")

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep other tunings of this model out. Raises LaunchError if it cannot be tuned now."""
        self._require_writable()
        self.path.parent.mkdir(exist_ok=True)
        try:
            with locked(self.path.parent):
                try:
                    yield
                finally:
                    with suppress(OSError):  # it is empty if nothing was written
                        self.path.parent.rmdir()
        except BlockingIOError:
            raise LaunchError(f"{self.model.name} is being tuned by another process.") from None

    def _require_writable(self) -> None:
        """Refuse what could not be written later, or was written by hand. Raises LaunchError."""
        if self.path.exists() and not self.path.read_bytes().startswith(MARK.encode()):
            raise LaunchError(f"{self.path} was not written by `make tune`: move it away first.")
        if not os.access(self.model, os.W_OK):
            raise LaunchError(f"Cannot write into {self.model}: tune as the user who owns it.")

    def save(self, kept: Candidate, default: Candidate, curve: str) -> bool:
        """Write the configuration of what is kept; remove it if it equals config.pbtxt.

        A deployment may have set in the older file which versions are served: that stays.
        """
        plain, config = self.default(), self.default()
        kept.apply(config, default)
        older = _read(self.path)
        if older.HasField("version_policy"):
            config.version_policy.CopyFrom(older.version_policy)
        if config == plain:
            self.path.unlink(missing_ok=True)
        else:
            write_text(self.path, f"{MARK}: {kept}.\n{text_format.MessageToString(config)}")
        write_text(self.curve, curve)
        return bool(config != plain)


def _read(path: Path) -> Any:
    try:
        return parse(read(path) if path.exists() else "")
    except PbtxtError as exc:
        raise LaunchError(f"{path} {exc}.") from None
