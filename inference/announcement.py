"""Tells people and programs that Triton is ready, and where."""

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from gateway.address import bracketed
from gateway.errors import TritonUnavailable
from gateway.scrape import scrape
from inference.admin_client import AdminClient
from inference.admin_key import KEY_FILE
from inference.errors import LaunchError, TritonError
from inference.settings import Settings
from inference.supervision.state import Finding
from inference.tritonserver.ports import Ports
from inference.writing import write_text


class Announcement:
    """The lines on the terminal, the ready file and the file with the admin key."""

    def __init__(
        self, settings: Settings, ports: Ports, log: Path, say: Callable[[str], None]
    ) -> None:
        self._settings, self._ports, self._log, self._say = settings, ports, log, say
        self.key_path = settings.runtime_dir / KEY_FILE

    def publish_key(self) -> None:
        """Leave the admin key where this user's other programs find it."""
        write_private(self.key_path, self._settings.admin_key)

    def publish(self, client: AdminClient, found: list[Finding]) -> None:
        """Say what is served and write the ready file."""
        ports = self._ports
        engines = self._engines()
        served = [f"{f.model} v{f.version}{engines.get((f.model, f.version), '')}" for f in found]
        self._say(
            f"Triton {_version(client)} serves {', '.join(served)}:"
            f" HTTP {self._at(ports.http)}, gRPC {self._at(ports.grpc)},"
            f" metrics {self._at(ports.metrics)}, health {self._at(ports.health)}"
        )
        if self._settings.ready_file:
            write_private(self._settings.ready_file, json.dumps(self._facts(found)))

    def withdraw(self) -> None:
        """Remove what was left for others."""
        for path in filter(None, (self._settings.ready_file, self.key_path)):
            with contextlib.suppress(OSError):  # it was never written, or is not a file
                path.unlink()

    def _engines(self) -> dict[tuple[str, str], str]:
        """Read from Triton's metrics which engine and precision each model's version runs with."""
        host = bracketed(self._settings.reachable_host)
        try:
            info = scrape(f"http://{host}:{self._ports.metrics}/metrics").info
        except TritonUnavailable:
            return {}
        return {
            key: f" ({labels['engine']}, {labels['precision']}{_warning(labels)})"
            for key, labels in info.items()
            if {"engine", "precision"} <= labels.keys()
        }

    def _at(self, port: int) -> str:
        return f"{bracketed(self._settings.host)}:{port}"

    def _facts(self, found: list[Finding]) -> dict[str, object]:
        return {
            "pid": os.getpid(),
            "host": self._settings.host,
            **{f"{name}_port": port for name, port in asdict(self._ports).items()},
            "admin_key_file": str(self.key_path),
            "log": str(self._log),
            "models": [{"name": f.model, "version": f.version} for f in found],
        }


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner can read. Raises LaunchError."""
    try:
        write_text(path, text, private=True)
    except OSError as exc:
        raise LaunchError(
            f"Cannot write {path} ({exc.strerror}): set EDGELENS_RUNTIME_DIR and"
            " TRITON_READY_FILE to places you can write to."
        ) from None


def _version(client: AdminClient) -> str:
    try:
        return client.version()
    except TritonError:
        return ""


def _warning(labels: dict[str, str]) -> str:
    return ", RANDOM WEIGHTS" if labels.get("weights") == "random" else ""
