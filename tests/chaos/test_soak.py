"""The soak, whose server may end before it does."""

import subprocess
import sys

import psutil
import pytest

from tests.chaos.soak import memory


def test_a_server_that_has_ended_is_one_sentence() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        supervisor = psutil.Process(process.pid)
        assert memory(supervisor) == 0  # it has no children
    with pytest.raises(SystemExit, match="`make serve` has ended"):
        memory(supervisor)
