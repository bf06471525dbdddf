"""A part of the running system: a child process that is restarted when it ends by itself."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field

from gateway.ask import answers
from gateway.terminal import note
from inference.tritonserver.processes import ending, is_working
from serving.errors import ServeError
from serving.processes import finish, start

ASK_PERIOD = 2.0  # seconds between two questions to each part
MOST_SILENCES = 4  # questions in a row that a part may leave unanswered
STEADY = 10.0  # seconds a part must run before its next restart is immediate
LONGEST_PAUSE = 30.0  # seconds between two attempts to restart a part that keeps failing


@dataclass
class Part:
    """One child; `environment` is added to ours, `health` is a URL that answers at once."""

    name: str
    command: list[str]
    environment: dict[str, str]
    health: str
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _started: float = field(default=0.0, init=False)
    _pause: float = field(default=1.0, init=False)
    _restart_at: float = field(default=0.0, init=False)
    _asked: float = field(default=0.0, init=False)
    _silences: int = field(default=0, init=False)

    def start(self) -> None:
        """Start it."""
        self._silences = 0
        self._process = start(self.command, self.environment)
        self._started = time.monotonic()

    def require_start(self) -> None:
        """Raise ServeError if the part gave up, and said why; a killed part has done neither."""
        status = self._process.poll() if self._process else None
        if status is not None and status >= 0:
            raise ServeError(f"{self.name} did not start: see the message above")

    def revive(self) -> None:
        """Restart it if it has ended; wait longer each time it ends soon after its start."""
        now = time.monotonic()
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            if now - self._started > STEADY:
                self._pause, self._restart_at = 1.0, now
            else:
                self._wait_longer(now)
            self._process = None
            note(f"edgelens: {self.name} {ending(status)}; restarting it")
        if now >= self._restart_at:
            try:
                self.start()
            except OSError as error:  # there may be no memory left for a process, or no open file
                self._wait_longer(now)
                note(f"edgelens: {self.name} cannot be restarted now ({error.strerror})")

    def _wait_longer(self, now: float) -> None:
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._restart_at = now + self._pause

    def check(self) -> None:
        """Kill a part that is frozen, but not one that lacks CPU time; `revive` restarts it."""
        now = time.monotonic()
        if self._process is None or now - self._asked < ASK_PERIOD:
            return
        self._asked = now
        self._silences = 0 if answers(self.health, timeout=1) else self._silences + 1
        if self._silences >= MOST_SILENCES and not is_working(self._process.pid):
            note(f"edgelens: {self.name} does not answer; killing it")
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self, patience: float) -> None:
        """Ask the part to end, and wait up to `patience` seconds for that."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)

    def finish(self, patience: float) -> None:
        """Wait up to `patience` seconds for the part's end; then kill what is left of it."""
        if self._process:
            finish(self._process, patience)
