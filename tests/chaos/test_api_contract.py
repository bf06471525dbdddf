"""schemathesis checks a gateway in front of a real Triton against its OpenAPI document."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Gateway

CONFIG = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


def test_the_api_keeps_every_promise_of_its_document(gateway: Gateway, tmp_path: Path) -> None:
    command = [
        *(str(SCHEMATHESIS), "--config-file", str(CONFIG)),
        *("run", f"{gateway.url}/openapi.json", "--checks", "all", "--seed", "1"),
        *("--max-examples", "40", "--generation-database", "none", "--no-color"),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
