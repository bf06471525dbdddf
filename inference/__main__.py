"""Start the launcher: `python -m inference [--repository DIR]`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends it silently

import argparse
import os
import sys
from pathlib import Path

from gateway.setting import SettingError
from inference.errors import LaunchError
from inference.launcher import launch
from inference.settings import Settings


def main() -> int:
    """Serve until a signal comes; report a user's mistake by one line and an exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m inference", description="Serve a model repository with NVIDIA Triton."
    )
    parser.add_argument("--repository", type=Path, metavar="DIR", help="default: MODEL_REPOSITORY")
    arguments = parser.parse_args()
    try:
        launch(Settings.from_env(os.environ, arguments.repository))
    except (LaunchError, SettingError) as exc:
        print(f"Error: {exc}", file=sys.stderr, flush=True)
        return 2 if isinstance(exc, SettingError) else 1
    return 0


if __name__ == "__main__":
    status = main()
    # Everything is shut down and every line was flushed. The signal may have interrupted the
    # standard library and left a lock taken, for which a pool's thread waits: do not wait for that
    # thread.
    os._exit(status)
