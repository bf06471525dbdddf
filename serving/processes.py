"""Child processes that end with this one."""

import ctypes
import os
import signal
import subprocess
from functools import partial

from inference.settings import HOME

INFERENCE_PYTHON = HOME / ".venv-inference/bin/python"
GATEWAY_PYTHON = HOME / ".venv/bin/python"
PR_SET_PDEATHSIG = 1


def start(command: list[str], settings: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own (Ctrl-C is ours to pass on) that dies with us.

    It finds our modules wherever we were started, and takes relative paths as we do.
    """
    ours = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    imports = {"PYTHONPATH": ours, "PYTHONSAFEPATH": "1"}
    return subprocess.Popen(
        command,
        env={**os.environ, **imports, **settings},
        start_new_session=True,
        preexec_fn=partial(_die_with_parent, os.getpid()),  # noqa: PLW1509 (there are no threads)
    )


def finish(process: subprocess.Popen[bytes], grace: float) -> None:
    """Wait for a child to end; kill its whole group if it has not ended in `grace` seconds."""
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _die_with_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before the kernel knew
