"""Printing to an output that nobody reads."""

import os
import subprocess
import sys
from pathlib import Path

SPEAKS = "import os, gateway.terminal; gateway.terminal.say('It works on.'); os._exit(7)"


def status(output: int) -> int:
    """Return the exit status of a process that prints there and then goes on."""
    return subprocess.run([sys.executable, "-c", SPEAKS], stdout=output, check=False).returncode


def test_a_full_disk_does_not_stop_who_speaks() -> None:
    with Path("/dev/full").open("w") as full:
        assert status(full.fileno()) == 7


def test_neither_does_a_pipe_that_nobody_reads() -> None:
    end, begin = os.pipe()
    os.close(end)
    try:
        assert status(begin) == 7
    finally:
        os.close(begin)
