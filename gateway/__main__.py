"""Run the gateway: `python -m gateway`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends it silently

import argparse
import ctypes
import faulthandler
import logging
import os
import resource
import sys

from gateway.address import bracketed
from gateway.app import create_app
from gateway.config import Settings
from gateway.errors import Overloaded
from gateway.key_ring import KeysError
from gateway.services import Services
from gateway.setting import SettingError
from gateway.signals import on_ending
from gateway.terminal import LogHandler, tell
from gateway.transport.dispatcher import NO_THREADS
from gateway.transport.server import Server
from gateway.triton import InferenceClient

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h


def main(triton: InferenceClient | None = None) -> int:
    """Serve until a signal comes and then end the process; return the status of a failed start."""
    _parse_arguments()
    silence_libraries()
    logging.basicConfig(
        format="%(asctime)s gateway: %(levelname)s: %(message)s",
        level=logging.WARNING,
        handlers=[LogHandler()],
    )
    try:
        settings = Settings.from_env(os.environ)
        app = create_app(settings, triton)
        services: Services = app.extensions["edgelens"]
        server = Server(app, settings, services)
    except (SettingError, KeysError) as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 2
    except Overloaded:
        print(f"gateway: {NO_THREADS}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"gateway: cannot listen on {bracketed(settings.host)}:{settings.port} "
            f"({error.strerror}); choose another place with PORT or HOST",
            file=sys.stderr,
        )
        return 1
    _prepare_process()
    on_ending(server.stop)
    services.start()
    tell(f"gateway: listening on http://{bracketed(settings.host)}:{server.effective_port}/")
    server.serve()
    services.stop()
    server.close()
    # A thread may still be decoding, whether for a client or for a probe. OpenCV aborts a process
    # that Python has begun to take apart.
    os._exit(0)


def _parse_arguments() -> None:
    argparse.ArgumentParser(
        prog="python -m gateway",
        description="Serve the page and the API in front of Triton.",
        epilog="Settings come from the environment; README.md lists them.",
    ).parse_args()


def silence_libraries() -> None:
    """Keep standard error for Python's own output and for crash traces.

    libjpeg and libpng write a line there for each damaged picture, and have no setting to stop it.
    """
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    faulthandler.enable(sys.stderr)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _prepare_process() -> None:
    # Large pictures get mappings of their own, which are returned to the kernel at once. By default
    # glibc would raise this threshold to 32 MB and keep freed memory in its per-thread arenas.
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024)
    # Keep the memory that ordinary pictures free for the next ones: getting it from the kernel
    # again, page by page, takes a tenth of a request's time.
    libc.mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024)
    libc.mallopt(M_ARENA_MAX, 2)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
