"""Ctrl-C while a program is still importing its parts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import GATEWAY_PYTHON, HOME, INFERENCE_PYTHON

PROGRAMS = [
    [GATEWAY_PYTHON, "-m", "gateway"],
    [INFERENCE_PYTHON, "-m", "inference"],
    [INFERENCE_PYTHON, "-m", "inference.deploy"],
    [INFERENCE_PYTHON, "-m", "inference.selftest"],
    [INFERENCE_PYTHON, "-m", "inference.tune"],
    [INFERENCE_PYTHON, "export_model.py"],
    [sys.executable, "serve.py"],
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: str(program[-1]))
def test_ctrl_c_during_the_imports_is_silent(program: list[str], tmp_path: Path) -> None:
    # All import this module of the standard library, and now wait there.
    slow = "print('importing', flush=True); import time; time.sleep(60)"
    (tmp_path / "ipaddress.py").write_text(slow)
    with subprocess.Popen(
        program,
        cwd=HOME,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout and process.stdout.readline() == "importing\n"
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60)[0] == ""
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
