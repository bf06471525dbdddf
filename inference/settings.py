"""The launcher's settings, all from the environment."""

import os
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway import setting
from gateway.address import Address, reachable
from gateway.setting import SettingError

HOME = Path(__file__).resolve().parent.parent
LEAST_CACHE = 1 << 20
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_KEY = re.compile(r"[A-Za-z0-9_.~-]{8,256}")
_PORT = setting.whole(0, 65535)
_SECONDS = setting.number(0.001, 86400)


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
        return cls(
            repository=repository.absolute() if repository else repository_dir(env),
            host=setting.read(env, "TRITON_HOST", setting.host, "127.0.0.1"),
            http_port=setting.read(env, "TRITON_HTTP_PORT", _PORT, "8000"),
            grpc_port=setting.read(env, "TRITON_GRPC_PORT", _PORT, "8001"),
            metrics_port=setting.read(env, "TRITON_METRICS_PORT", _PORT, "8002"),
            health_port=setting.read(env, "TRITON_HEALTH_PORT", _PORT, "8003"),
            admin_key=_admin_key(env),
            cache_bytes=setting.read(env, "TRITON_CACHE_BYTES", _cache_bytes, str(64 << 20)),
            cache_dir=cache_dir(env),
            runtime_dir=runtime_dir(env),
            ready_file=setting.read(env, "TRITON_READY_FILE", _ready_file),
            model_config_name=setting.read(env, "TRITON_MODEL_CONFIG_NAME", _config_name),
            probe_period=setting.read(env, "TRITON_PROBE_PERIOD", _SECONDS, "2"),
            probe_timeout=setting.read(env, "TRITON_PROBE_TIMEOUT", _SECONDS, "3"),
            start_timeout=setting.read(env, "TRITON_START_TIMEOUT", _SECONDS, "300"),
            leave_seconds=setting.read(env, "TRITON_LEAVE_SECONDS", setting.whole(0, 60), "0"),
        )

    @property
    def ports(self) -> dict[str, int]:
        """Map the settings that name ports to these."""
        return {
            "TRITON_HTTP_PORT": self.http_port,
            "TRITON_GRPC_PORT": self.grpc_port,
            "TRITON_METRICS_PORT": self.metrics_port,
            "TRITON_HEALTH_PORT": self.health_port,
        }

    @property
    def reachable_host(self) -> str:
        """Name the address at which the launcher itself reaches what it binds to `host`."""
        return reachable(self.host)

    @property
    def http(self) -> Address:
        """Say where this machine reaches Triton over HTTP."""
        return Address("http", self.reachable_host, self.http_port)

    @property
    def grpc(self) -> Address:
        """Say where this machine reaches Triton over gRPC."""
        return Address("http", self.reachable_host, self.grpc_port)


def repository_dir(env: Mapping[str, str]) -> Path:
    """Name the directory of the models. Raises SettingError."""
    return setting.read(env, "MODEL_REPOSITORY", setting.path, str(HOME / "model_repository"))


def runtime_dir(env: Mapping[str, str]) -> Path:
    """Name the directory of Triton's log and the admin key. Raises SettingError."""
    return setting.read(env, "EDGELENS_RUNTIME_DIR", setting.path, str(HOME / ".cache" / "run"))


def cache_dir(env: Mapping[str, str]) -> Path:
    """Name the directory of converted models. Raises SettingError."""
    return setting.read(env, "EDGELENS_CACHE_DIR", setting.path, "~/.cache/edgelens")


def _ready_file(text: str) -> Path | None:
    """Read where to tell that Triton is ready; without it, nobody is told."""
    return setting.path(text) if text else None


def _cache_bytes(text: str) -> int:
    """Read the size of the response cache: none, or one that Triton can make."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    size = setting.whole(0, memory)(text)
    if 0 < size < LEAST_CACHE:
        raise ValueError(f"give 0 for none, or at least {LEAST_CACHE}")
    return size


def _config_name(text: str) -> str:
    """Take the given name, nothing for `none`, else this host's name, made fit for a file."""
    if not text:
        return re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname()).lstrip(".")
    if not _FILE.fullmatch(text):
        raise ValueError("give a file's name without .pbtxt, in letters, digits or any of _ . -")
    return "" if text == "none" else text


def _admin_key(env: Mapping[str, str]) -> str:
    """Take the given key or make one up for this start. No message may show it."""
    key = setting.given(env, "TRITON_ADMIN_KEY") or secrets.token_urlsafe(24)
    if not _KEY.fullmatch(key):
        raise SettingError("TRITON_ADMIN_KEY must be 8 to 256 letters, digits or any of _ . ~ -")
    return key
