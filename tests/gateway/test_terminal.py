"""Printing to an output that nobody reads."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.logs import fill

SPEAKS = "import os, gateway.terminal; gateway.terminal.say('It works on.'); os._exit(7)"
TELLS = SPEAKS.replace("say", "tell")
LOGS = """
import logging, os, gateway.terminal
logging.basicConfig(handlers=[gateway.terminal.LogHandler()])
logging.error("It works on.")
os._exit(7)
"""
ANNOUNCES = "import os, serve; serve._announce({}, 'It works on.'); os._exit(7)"
HANGS = 30  # seconds


def status(output: int, program: str = SPEAKS) -> int:
    """Return the exit status of a process that prints there and then goes on."""
    command = [sys.executable, "-c", program]
    streams = {"stdout": output, "stderr": output}
    return subprocess.run(command, **streams, timeout=HANGS, check=False).returncode


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


@pytest.mark.parametrize(
    "program", [TELLS, LOGS, ANNOUNCES], ids=["a line", "the log", "the address"]
)
def test_a_reader_that_has_stopped_does_not_stop_a_server(program: str) -> None:
    end, begin = os.pipe()
    try:
        fill(begin)
        assert status(begin, program) == 7
        assert set(os.read(end, 1 << 20)) == {0}
        assert status(begin, program) == 7
        assert b"It works on." in os.read(end, 1 << 20)
    finally:
        os.close(begin)
        os.close(end)


@pytest.mark.parametrize("program", [TELLS, LOGS], ids=["a line", "the log"])
@pytest.mark.parametrize("opened", [os.pipe, os.openpty], ids=["a pipe", "a terminal"])
def test_neither_does_a_line_for_which_there_is_not_room_enough(
    opened: Callable[[], tuple[int, int]], program: str
) -> None:
    end, begin = opened()
    try:
        fill(begin)
        os.read(end, 4096)
        assert status(begin, program.replace("It works on.", 10_000 * ".")) == 7
    finally:
        os.close(begin)
        os.close(end)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_end_of_who_spoke_to_a_full_disk_is_a_success(stream: str) -> None:
    speaks = f"import sys, gateway.terminal; gateway.terminal.say('Done.', sys.{stream})"
    buffered = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    with Path("/dev/full").open("w") as full:
        streams = {stream: full, other: subprocess.PIPE}
        done = subprocess.run([sys.executable, "-c", speaks], env=buffered, **streams)
    assert done.returncode == 0
    assert not done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    ("encoding", "text", "printed"),
    [("ascii", "für", b"f\\xfcr\n"), ("utf-8:strict", "\udcff", b"\\udcff\n")],
    ids=["a letter that the terminal lacks", "a path's byte that is no text"],
)
def test_what_a_terminal_cannot_show_is_escaped(encoding: str, text: str, printed: bytes) -> None:
    speaks = f"import gateway.terminal; gateway.terminal.say({text!a})"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", speaks], env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, b"")


def test_closed_streams_become_no_file_of_ours_or_of_a_child(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    speaks = f"""
import gateway.terminal, subprocess, sys
with open({str(path)!r}, "w") as file:
    gateway.terminal.say("Hello.")
    print("An error.", file=sys.stderr, flush=True)
    subprocess.run(["sh", "-c", "echo Hello. && echo An error. >&2"], check=True)
    file.write("mine")
"""
    run_with_closed_streams(speaks)
    assert path.read_text() == "mine"


def test_a_file_that_has_become_a_stream_before_gets_no_message(tmp_path: Path) -> None:
    run_with_closed_streams(f"""
files = [open(f"{tmp_path}/{{n}}", "w") for n in range(3)]
import gateway.terminal, sys
gateway.terminal.say("Hello.")
print("An error.", file=sys.stderr, flush=True)
""")
    assert [(tmp_path / str(n)).read_text() for n in range(3)] == ["", "", ""]


def run_with_closed_streams(program: str) -> None:
    closed = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, program]
    assert subprocess.run(closed, check=False).returncode == 0
