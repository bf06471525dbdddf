"""The processes below the launcher: Triton and its Python stubs."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from inference.settings import HOME
from inference.tritonserver.identity import PROC, Run, start_tick, stat

LEASH = Path(__file__).with_name("leash.py")
STUB = "triton_python_backend_stub"
PR_SET_CHILD_SUBREAPER = 36
KILL_SECONDS = 3.0  # after which a child that cannot be killed is left behind


def adopt_orphans() -> None:
    """Make this process the parent of whatever its children leave behind, as PID 1 is."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_on_leash(command: list[str], env: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a command that dies with this process; call it from the main thread only.

    The kernel ends the child when the *thread* that started it ends. A terminal's Ctrl-C does not
    reach it (it has a session of its own), so the launcher can stop it in order.
    """
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())]
    return subprocess.Popen(
        [*leash, *command],
        cwd=HOME,  # the processes of models import from where they run, even under PYTHONSAFEPATH
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def processes() -> list[int]:
    """List the PIDs of all processes that can be seen."""
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]


def command_line(pid: int) -> list[str]:
    """Read a process's arguments; empty if it has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    return start_tick(pid) is not None


def is_working(pid: int, samples: int = 5) -> bool:
    """Tell whether a process computes or waits for a processor, rather than for an event.

    On a starved machine this distinguishes a slow process from one that hangs.
    """
    seen = 0
    for _ in range(samples):
        seen += any(state in "RD" for state in _thread_states(pid))
        time.sleep(0.02)
    return seen * 2 > samples


def computed(pid: int) -> float:
    """Return for how many seconds of processor time a process has run; 0 if it has ended."""
    with contextlib.suppress(OSError):
        _, fields = stat(PROC / str(pid))
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _thread_states(pid: int) -> list[str]:
    """Read the state letters of a process's threads; none if it has ended."""
    states = []
    with contextlib.suppress(OSError):  # it may end at any moment, and so may each thread
        for task in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                states.append(stat(task)[1][0])
    return states


def ending(status: int | None) -> str:
    """Say how a process ended, by what `poll` returned."""
    if status is not None and status < 0:
        number = f"signal {-status}"  # most real-time signals have no name
        return f"was killed by {next((s.name for s in signal.Signals if s == -status), number)}"
    return f"ended with status {status}"


def parent(pid: int) -> int:
    """Read a process's parent; 0 if it has ended."""
    try:
        return int(stat(PROC / str(pid))[1][1])
    except OSError:
        return 0


def children() -> list[int]:
    """List the direct children of this process."""
    return [pid for pid in processes() if parent(pid) == os.getpid()]


def stubs(run: Run) -> dict[int, list[str]]:
    """Map the PIDs of a run's live stubs to their arguments."""
    found = {pid: command_line(pid) for pid in processes()}
    return {
        pid: arguments
        for pid, arguments in found.items()
        if arguments
        and arguments[0].endswith(STUB)
        and any(argument.startswith(run.prefix) for argument in arguments)
    }


def dead_stubs() -> set[int]:
    """Return the stubs of this process's Triton that have ended and were not reaped."""
    mine = os.getpid()
    return {pid for pid in processes() if _is_dead_stub(pid) and parent(parent(pid)) == mine}


def _is_dead_stub(pid: int) -> bool:
    """Tell whether a process is a stub's zombie, of whose name only 15 letters are left."""
    try:
        name, fields = stat(PROC / str(pid))
    except OSError:
        return False
    return name == STUB[:15] and fields[0] == "Z"


def kill(pid: int) -> None:
    """Kill a process at once; one that has ended already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def kill_stubs_of(run: Run) -> None:
    """Kill the stubs of a run, those that hang included."""
    for pid in stubs(run):
        kill(pid)


def kill_children() -> None:
    """Kill and reap every child of this process, orphans it adopted included."""
    end = time.monotonic() + KILL_SECONDS
    while (remaining := children()) and time.monotonic() < end:
        for pid in remaining:
            kill(pid)
            reap(pid)
        time.sleep(0.01)


def reap(pid: int) -> None:
    """Take a dead child's exit status, so that it does not stay a zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def reap_orphans(*own: int) -> None:
    """Reap adopted processes that have ended; `own` are those that others wait for."""
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with contextlib.suppress(ChildProcessError):  # there are no children
        while (child := os.waitid(os.P_ALL, 0, ended)) and child.si_pid not in own:
            reap(child.si_pid)
