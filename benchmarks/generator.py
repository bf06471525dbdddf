"""The load generator: wrk with a script that reports every answer."""

import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answers import Answer, read_answer

WHY = (
    "wrk, a small C program kept in Debian: unlike h2load, hey and oha it posts different pictures "
    "in turn, and its script reports every answer at little cost, which each result states"
)
SCRIPT = Path(__file__).with_name("pictures.lua")
LOOK = 0.1  # seconds between two reads of its output, which cost next to nothing


class Generator:
    """One run of wrk, with a thread for each connection, as its script needs."""

    def __init__(self, url: str, clients: int, longest: float, answer_within: int) -> None:
        self._command = ["wrk", f"-t{clients}", f"-c{clients}", f"-d{round(longest)}s"]
        self._command += [f"--timeout={answer_within}s", "-s", str(SCRIPT), url]
        self._directory = tempfile.TemporaryDirectory(prefix="edgelens-load-")
        self._printed = Path(self._directory.name, "printed")
        self._seen, self._broken, self.lost = 0, "", 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, bodies: list[Path], headers: dict[str, str], salt: str) -> None:
        """Start to post the bodies in turn; with a `salt`, no body is the same twice."""
        listing = Path(self._directory.name, "bodies")
        listing.write_text("".join(f"{path}\n" for path in bodies))
        environment = {
            **os.environ,
            "BENCH_BODIES": str(listing),
            "BENCH_HEADERS": "\n".join(f"{name}: {value}" for name, value in headers.items()),
        }
        if salt:
            environment["BENCH_DISTINCT"] = salt
        self._used, self._began = _processor_seconds(), time.monotonic()
        with self._printed.open("wb") as file:
            self._process = subprocess.Popen(self._command, env=environment, stdout=file)

    def answers(self) -> Iterator[list[Answer]]:
        """Yield the answers since the last read, until wrk ends."""
        while self._process.poll() is None:
            time.sleep(LOOK)
            yield self._read()

    def stop(self) -> float:
        """Stop wrk; return the share of one core that it took, including this process's reading."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        share = (_processor_seconds() - self._used) / (time.monotonic() - self._began)
        self._read()
        return share

    def close(self) -> None:
        """Kill wrk if it still runs, and remove its files."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def _read(self) -> list[Answer]:
        with self._printed.open() as file:
            file.seek(self._seen)
            *lines, self._broken = (self._broken + file.read()).split("\n")
            self._seen = file.tell()
        self.lost += sum(int(line.split()[1]) for line in lines if line.startswith("lost "))
        return [answer for line in lines if (answer := read_answer(line))]


def _processor_seconds() -> float:
    """Return the processor seconds of this process and of the children it has waited for."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)
