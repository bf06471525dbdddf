"""Becomes the given command, bound to die with the process that started it.

Run as a script: `python -I -S leash.py PARENT_PID COMMAND [ARGUMENT...]`.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
STACK = 256 << 20  # bytes; memory only where it is used


def main() -> None:
    """Ask the kernel for SIGKILL at the parent's death, then become the command."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)  # the parent died before the kernel knew
    # Triton 24.10 reads nested JSON by recursion, in threads whose stacks are as large as this.
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    wanted = STACK if hard == resource.RLIM_INFINITY else min(STACK, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 -- becoming the command is the purpose


if __name__ == "__main__":
    main()
