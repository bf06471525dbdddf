"""What can happen to the processes of a running stack, done to them on purpose."""

import random
import signal
from collections.abc import Callable

import psutil

Fault = Callable[[psutil.Process], None]


def stubs(launcher: psutil.Process) -> list[psutil.Process]:
    """Return the stubs that run Python-based backends."""
    return [p for p in launcher.children(recursive=True) if "stub" in p.name()]


def triton(launcher: psutil.Process) -> psutil.Process:
    """Return tritonserver itself."""
    return next(p for p in launcher.children(recursive=True) if p.name().startswith("tritonser"))


def kill_a_stub(launcher: psutil.Process) -> None:
    random.choice(stubs(launcher)).kill()


def kill_all_stubs(launcher: psutil.Process) -> None:
    for stub in stubs(launcher):
        stub.kill()


def freeze_all_stubs(launcher: psutil.Process) -> None:
    for stub in stubs(launcher):
        stub.send_signal(signal.SIGSTOP)


def kill_triton(launcher: psutil.Process) -> None:
    triton(launcher).kill()


def freeze_triton(launcher: psutil.Process) -> None:
    triton(launcher).send_signal(signal.SIGSTOP)


FAULTS: dict[str, Fault] = {
    "kill-a-stub": kill_a_stub,
    "kill-all-stubs": kill_all_stubs,
    "freeze-all-stubs": freeze_all_stubs,
    "kill-triton": kill_triton,
    "freeze-triton": freeze_triton,
}
