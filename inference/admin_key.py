"""Finds the admin key of the server that runs on this machine."""

from collections.abc import Mapping
from pathlib import Path

from inference.settings import HOME


def find_admin_key(env: Mapping[str, str]) -> str:
    """Read TRITON_ADMIN_KEY, else the file the launcher left; empty without either."""
    given = env.get("TRITON_ADMIN_KEY", "")
    if given:
        return given
    directory = Path(env.get("EDGELENS_RUNTIME_DIR") or HOME / ".cache" / "run").expanduser()
    try:
        return (directory / "admin-key").read_text().strip()
    except OSError:
        return ""
