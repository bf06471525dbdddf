"""The gateway's settings, read once from the environment."""

import contextlib
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gateway import setting
from gateway.address import Address, AddressError
from gateway.errors import MEGABYTE
from gateway.model_names import NAME
from gateway.shares import Shares, parse_version_shares

GRACE_BEYOND_DEADLINE = 2.0


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, with the defaults of `make serve`. Sizes in bytes, times in s."""

    host: str = "127.0.0.1"
    port: int = 5000
    triton_url: str = "127.0.0.1:8001"
    triton_metrics_url: str = "http://127.0.0.1:8002/metrics"
    model: str = ""
    max_upload_bytes: int = 20 * MEGABYTE
    max_body_bytes: int = 64 * MEGABYTE
    max_pixels: int = 50_000_000
    max_pictures: int = 32
    deadline_seconds: float = 10.0
    threads: int = 16
    grace_seconds: float = 12.0
    version_shares: Mapping[str, Shares] = field(default_factory=dict)
    api_keys_file: Path | None = None
    client_rate: float = 0.0
    cors_origins: tuple[str, ...] = ()
    trusted_proxy: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings; raise SettingError with the variable's name for a bad value."""
        chosen: dict[str, Any] = {}
        for entry in fields(cls):
            variable = entry.name.upper()
            if setting.given(env, variable):
                chosen[entry.name] = setting.read(env, variable, _READERS[entry.name])
        if "max_upload_bytes" in chosen and "max_body_bytes" not in chosen:
            chosen["max_body_bytes"] = max(cls.max_body_bytes, 2 * chosen["max_upload_bytes"])
        # Requests admitted just before the end still have their whole deadline.
        deadline = chosen.get("deadline_seconds", cls.deadline_seconds)
        chosen.setdefault("grace_seconds", deadline + GRACE_BEYOND_DEADLINE)
        return cls(**chosen)

    def limits(self) -> dict[str, int]:
        """Return the limits of one request, as the API shows them."""
        return {
            "pictures": self.max_pictures,
            "picture_bytes": self.max_upload_bytes,
            "picture_pixels": self.max_pixels,
            "request_bytes": self.max_body_bytes,
        }


def _model(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("give a model's name, such as vgg16")
    return text


def _address(text: str) -> str:
    with contextlib.suppress(AddressError):
        if Address.parse(text).netloc == text.lower():
            return text
    raise ValueError("give host:port, such as 127.0.0.1:8001, without http://")


def _web_address(text: str) -> str:
    with contextlib.suppress(AddressError):
        if "://" in text and Address.parse(text):
            return text
    raise ValueError("give a web address, such as http://127.0.0.1:8002/metrics")


def _proxy(text: str) -> str:
    try:
        return text if text == "*" else str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("give one IP address, or * if only a proxy can connect") from None


def _origins(text: str) -> tuple[str, ...]:
    # Browsers send them in lower case.
    origins = tuple(p.strip().rstrip("/").lower() for p in text.split(",") if p.strip())
    for origin in origins:
        if origin != "*" and not _is_origin(origin):
            raise ValueError("give origins such as https://example.org,https://other.example, or *")
    return origins


def _is_origin(text: str) -> bool:
    with contextlib.suppress(AddressError):
        return "://" in text and not Address.parse(text).path
    return False


_READERS: Mapping[str, Callable[[str], Any]] = {
    "host": setting.host,
    "port": setting.whole(0, 65535),
    "triton_url": _address,
    "triton_metrics_url": _web_address,
    "model": _model,
    "max_upload_bytes": setting.whole(1024, 1 << 30),
    "max_body_bytes": setting.whole(1024, 1 << 31),
    "max_pixels": setting.whole(1, 1 << 31),
    "max_pictures": setting.whole(1, 1000),
    "deadline_seconds": setting.number(0.1, 600),
    "threads": setting.whole(1, 256),
    "grace_seconds": setting.number(0, 600),
    "version_shares": parse_version_shares,
    "api_keys_file": setting.path,
    "client_rate": setting.number(0, 1e6),
    "cors_origins": _origins,
    "trusted_proxy": _proxy,
}
