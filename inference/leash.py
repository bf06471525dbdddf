"""Becomes the given command, bound to die with the process that started it.

Run as a script: `python -I -S leash.py PARENT_PID COMMAND [ARGUMENT...]`.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGKILL at the parent's death, then become the command."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)  # the parent died before the kernel knew
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 -- becoming the command is the purpose


if __name__ == "__main__":
    main()
