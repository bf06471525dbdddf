"""Which environment runs which tests: Triton's packages are too old for the gateway.

The packages tell, not the path: a copy with other plugins of pytest is as good.
"""

from importlib.util import find_spec
from pathlib import Path

TESTS = Path(__file__).parent
OF_INFERENCE = ("backend", "exporter", "inference")


def complaint(path: Path) -> str | None:
    """Say which environment runs these tests, if this one does not."""
    if TESTS not in path.parents:
        return None
    directory = path.relative_to(TESTS).parts[0]
    inference = directory in OF_INFERENCE
    name, package = (".venv-inference", "tensorflow") if inference else (".venv", "selenium")
    if find_spec(package):
        return None
    return f"tests/{directory} needs the packages of {name}: {name}/bin/python -m pytest"
