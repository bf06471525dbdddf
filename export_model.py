"""Export a model into the repository that Triton serves: see `python3 export_model.py --help`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends it silently

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ENVIRONMENT = Path(__file__).resolve().parent / ".venv-inference"
PACKAGES = ("cv2", "keras", "nncf")


def main() -> int:
    """Run the exporter, in the environment that has its packages if this interpreter lacks them."""
    if all(find_spec(package) for package in PACKAGES):
        from exporter.command import main as run  # noqa: PLC0415 (it needs those packages)

        return run()
    python = ENVIRONMENT / "bin/python"
    if python.exists() and Path(sys.prefix) != ENVIRONMENT:
        os.execv(python, [str(python), *sys.argv])  # noqa: S606 (nothing comes from a shell)
    print(
        "export_model: its packages are not installed; run `make serve` or `make model` first",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
