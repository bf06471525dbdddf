"""Faults of the processes of a running stack, injected on purpose."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil

Fault = Callable[[psutil.Process], None]


def stubs(launcher: psutil.Process) -> list[psutil.Process]:
    """Return the stubs that run Python-based backends."""
    return [p for p in launcher.children(recursive=True) if "stub" in p.name()]


def triton(launcher: psutil.Process) -> psutil.Process:
    """Return tritonserver itself."""
    return next(p for p in launcher.children(recursive=True) if p.name().startswith("tritonser"))


def kill_the_classifier(launcher: psutil.Process) -> None:
    for stub in stubs(launcher):
        if not _decodes(stub):
            stub.kill()


def kill_the_decoder(launcher: psutil.Process) -> None:
    for stub in stubs(launcher):
        if _decodes(stub):
            stub.kill()


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


@contextlib.contextmanager
def starving() -> Iterator[None]:
    """Keep every processor busy with four others while the block runs."""
    spinning = [sys.executable, "-c", "while True: pass"]
    hogs = [subprocess.Popen(spinning) for _ in range(4 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def _decodes(stub: psutil.Process) -> bool:
    """Tell whether a stub decodes pictures for direct clients; the gateway does not need it."""
    return any("_decode/" in argument for argument in stub.cmdline())


FAULTS: dict[str, Fault] = {
    "kill-the-classifier": kill_the_classifier,
    "kill-the-decoder": kill_the_decoder,
    "kill-all-stubs": kill_all_stubs,
    "freeze-all-stubs": freeze_all_stubs,
    "kill-triton": kill_triton,
    "freeze-triton": freeze_triton,
}
