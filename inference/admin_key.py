"""Finds the admin key of the server that runs on this machine."""

from collections.abc import Mapping

from gateway import setting
from inference.settings import runtime_dir

KEY_FILE = "admin-key"  # in the runtime directory


def find_admin_key(env: Mapping[str, str]) -> str:
    """Read TRITON_ADMIN_KEY, else the file the launcher left; empty without either."""
    if given := setting.given(env, "TRITON_ADMIN_KEY"):
        return given
    try:
        return (runtime_dir(env) / KEY_FILE).read_text().strip()
    except OSError:
        return ""
