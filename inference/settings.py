"""The launcher's settings, all from the environment."""

import os
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.address import AddressError, reachable, read_host
from inference.errors import SettingError

HOME = Path(__file__).resolve().parent.parent
LEAST_CACHE = 1 << 20
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_KEY = re.compile(r"[A-Za-z0-9_.~-]{8,256}")


@dataclass(frozen=True)
class Settings:
    """How Triton is started; ports of 0 mean "any free one", `cache_bytes` of 0 means no cache.

    For each model, Triton reads `configs/<model_config_name>.pbtxt` if there is such a file.
    """

    repository: Path
    host: str
    http_port: int
    grpc_port: int
    metrics_port: int
    health_port: int
    admin_key: str
    cache_bytes: int
    cache_dir: Path
    runtime_dir: Path
    ready_file: Path | None
    model_config_name: str
    probe_period: float
    probe_timeout: float
    start_timeout: float
    leave_seconds: int

    @classmethod
    def from_env(cls, env: Mapping[str, str], repository: Path | None = None) -> "Settings":
        """Read the settings; `repository` wins over MODEL_REPOSITORY. Raises SettingError."""
        told = _given(env, "TRITON_READY_FILE")
        return cls(
            repository=repository.absolute() if repository else repository_dir(env),
            host=_host(env, "TRITON_HOST", "127.0.0.1"),
            http_port=_integer(env, "TRITON_HTTP_PORT", 8000, 65535),
            grpc_port=_integer(env, "TRITON_GRPC_PORT", 8001, 65535),
            metrics_port=_integer(env, "TRITON_METRICS_PORT", 8002, 65535),
            health_port=_integer(env, "TRITON_HEALTH_PORT", 8003, 65535),
            admin_key=_admin_key(env),
            cache_bytes=_cache_bytes(env),
            cache_dir=_path(env, "EDGELENS_CACHE_DIR", Path("~/.cache/edgelens")),
            runtime_dir=runtime_dir(env),
            ready_file=_path(env, "TRITON_READY_FILE", HOME) if told else None,
            model_config_name=_config_name(env),
            probe_period=_seconds(env, "TRITON_PROBE_PERIOD", 2.0),
            probe_timeout=_seconds(env, "TRITON_PROBE_TIMEOUT", 3.0),
            start_timeout=_seconds(env, "TRITON_START_TIMEOUT", 300.0),
            leave_seconds=_integer(env, "TRITON_LEAVE_SECONDS", 0, 60),
        )

    @property
    def reachable_host(self) -> str:
        """Name the address at which the launcher itself reaches what it binds to `host`."""
        return reachable(self.host)


def repository_dir(env: Mapping[str, str]) -> Path:
    """Name the directory of the models. Raises SettingError."""
    return _path(env, "MODEL_REPOSITORY", HOME / "model_repository")


def runtime_dir(env: Mapping[str, str]) -> Path:
    """Name the directory of Triton's log and the admin key. Raises SettingError."""
    return _path(env, "EDGELENS_RUNTIME_DIR", HOME / ".cache" / "run")


def _given(env: Mapping[str, str], name: str) -> str:
    """Return what a variable says, without the spaces around it; "" if it is not set."""
    return env.get(name, "").strip()


def _host(env: Mapping[str, str], name: str, default: str) -> str:
    """Read an address to listen on."""
    text = _given(env, name) or default
    try:
        return read_host(text)
    except AddressError:
        raise SettingError(
            f"{name} must be an address of this machine, such as 127.0.0.1, not {text!r}."
        ) from None


def _path(env: Mapping[str, str], name: str, default: Path) -> Path:
    """Read a path and make it absolute; a relative one starts at the working directory."""
    path = Path(_given(env, name) or default)
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # no such user, or nobody knows where this one is at home
        raise SettingError(
            f"{name} must be a full path: {str(path)!r} begins with an unknown home directory."
        ) from None


def _integer(env: Mapping[str, str], name: str, default: int, highest: int) -> int:
    """Read a whole number from 0 to `highest`."""
    text = _given(env, name) or str(default)
    # Python refuses to read thousands of digits.
    if not re.fullmatch("[0-9]{1,15}", text) or int(text) > highest:
        raise SettingError(f"{name} must be a whole number from 0 to {highest}, not {text!r}.")
    return int(text)


def _cache_bytes(env: Mapping[str, str]) -> int:
    """Read the size of the response cache: none, or one that Triton can make."""
    size = _integer(env, "TRITON_CACHE_BYTES", 64 << 20, 1 << 40)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size and not LEAST_CACHE <= size <= memory:
        raise SettingError(
            f"TRITON_CACHE_BYTES must be 0, or from {LEAST_CACHE} to this machine's memory,"
            f" {memory}, not {size}."
        )
    return size


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    """Read a positive number of seconds."""
    text = _given(env, name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 86400.0:
        raise SettingError(
            f"{name} must be a number of seconds above 0 and below 86400, not {text!r}."
        )
    return value


def _config_name(env: Mapping[str, str]) -> str:
    """Take the given name, nothing for `none`, else this host's name, made fit for a file."""
    given = _given(env, "TRITON_MODEL_CONFIG_NAME")
    if given and not _FILE.fullmatch(given):
        raise SettingError(
            "TRITON_MODEL_CONFIG_NAME must be a file's name without .pbtxt, in letters, digits or"
            f" any of _ . -, not {given!r}."
        )
    if given:
        return "" if given == "none" else given
    return re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname()).lstrip(".")


def _admin_key(env: Mapping[str, str]) -> str:
    """Take the given key or make one up for this start."""
    key = _given(env, "TRITON_ADMIN_KEY") or secrets.token_urlsafe(24)
    if not _KEY.fullmatch(key):
        raise SettingError("TRITON_ADMIN_KEY must be 8 to 256 letters, digits or any of _ . ~ -")
    return key
