"""Starts and stops the tritonserver process."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

from inference.admin_client import AdminClient
from inference.errors import LaunchError, ProcessLost
from inference.settings import Settings
from inference.tritonserver.command import Setup, environment, server_command
from inference.tritonserver.loadings import Loadings
from inference.tritonserver.log import TritonLog
from inference.tritonserver.processes import (
    ending,
    is_working,
    kill,
    kill_stubs_of,
    reap_orphans,
    start_on_leash,
)
from inference.tritonserver.shm import close_segments, leaked, remove_segments

KILL_AFTER_SECONDS = 8.0
UNLOAD_SECONDS = 2.5
GLANCE_SECONDS = 0.1  # between two looks at the processes of models that are being loaded


class TritonServer:
    """One tritonserver process at a time, with its log, its stubs and its segments."""

    def __init__(self, settings: Settings, setup: Setup, log: TritonLog) -> None:
        self._settings, self._setup, self.log = settings, setup, log
        self._process: subprocess.Popen[str] | None = None

    def start(self, models: list[str], tolerant: bool = False) -> None:
        """Start Triton with these models; `tolerant` serves the others if one cannot be loaded.

        Raises LaunchError if the system has no memory or process left for it.
        """
        command = server_command(self._settings, self._setup, models)
        command.append(f"--exit-on-error={'false' if tolerant else 'true'}")
        env = environment(dict(os.environ), self._settings, self._setup)
        try:
            # What killed processes of models have left is as large as a model.
            shutil.rmtree(self._setup.temporary, ignore_errors=True)
            self._setup.temporary.mkdir(exist_ok=True)
            self._process = start_on_leash(command, env)
        except OSError as exc:
            raise LaunchError(f"Triton cannot be started now: {exc.strerror}.") from exc
        if self._process.stdout:
            self.log.follow(self._process.stdout)

    def await_live(self, client: AdminClient, loadings: Loadings) -> None:
        """Wait until Triton answers. Raises LaunchError with Triton's reason.

        If a model's process died, Triton would wait for it for ever: it is killed.
        """
        now = time.monotonic()
        deadline, glance = now + self._settings.start_timeout, now + GLANCE_SECONDS
        while not client.is_live():
            if not self.is_running():
                raise LaunchError(f"Triton could not start: {self.reason()}")
            if time.monotonic() > glance:
                glance = time.monotonic() + GLANCE_SECONDS
                self._require_processes(loadings)
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"Triton was not ready after {self._settings.start_timeout:g} s:"
                    f" see {self.log.path}, or allow more time with TRITON_START_TIMEOUT."
                )
            time.sleep(0.05)

    def _require_processes(self, loadings: Loadings) -> None:
        """End a Triton that waits for a process that died. Raises ProcessLost."""
        if lost := loadings.lost(self.log.loading()):
            self.kill()
            raise ProcessLost(
                lost[0],
                f"The process of model {lost[0]} died while Triton was loading it; it may have run"
                f" out of memory: see {self.log.path} and the system's log.",
            )

    @property
    def pid(self) -> int:
        """Name the process; 0 before the first start."""
        return self._process.pid if self._process else 0

    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def is_working(self) -> bool:
        """Tell whether the process computes or waits for a processor."""
        return self._process is not None and is_working(self._process.pid)

    def ending(self) -> str:
        """Say how the process ended."""
        return ending(self._process.poll() if self._process else None)

    def reason(self) -> str:
        """Say in one line why the process that ended did not start."""
        if self._process and self._process.poll() == -signal.SIGKILL:
            return f"it {self.ending()}; it may have run out of memory: see the system's log."
        return self.log.reason() or self.ending()

    def close_segments(self) -> None:
        """Keep other users of this machine out of the shared memory that each load makes."""
        close_segments(self._setup.run)

    def leaked(self) -> int:
        """Count the bytes of shared memory that dead stubs have left; only a restart frees them."""
        return leaked(self._setup.run)

    def stop(self) -> None:
        """Let Triton answer what it admitted, then end it, by force if it takes too long.

        An instance whose stub has died keeps Triton from ending; it has no request to answer.
        """
        if self._process and self.is_running():
            self._process.terminate()
            end = time.monotonic() + KILL_AFTER_SECONDS
            while time.monotonic() < end and self.is_running():
                if self.log.is_drained():
                    end = min(end, time.monotonic() + UNLOAD_SECONDS)
                    self._wait(end)
                self._wait(time.monotonic() + 0.05)
        self.kill()

    def _wait(self, end: float) -> None:
        """Wait until the process ends, at most until `end` on the monotonic clock."""
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(end - time.monotonic(), 0.0))

    def kill(self) -> None:
        """End Triton and its stubs at once and remove their shared memory."""
        if self._process:
            kill(self._process.pid)
            self._process.wait()
        kill_stubs_of(self._setup.run)
        reap_orphans()
        remove_segments(self._setup.run)
