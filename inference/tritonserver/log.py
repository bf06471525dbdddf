"""Keeps Triton's log in a file of bounded size and finds in it why Triton failed."""

import contextlib
import errno
import os
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

LIMIT_BYTES = 10 << 20
MOST_RECENT = 2000  # lines
LONGEST_REASON = 300
_ENTRY = re.compile(r'^[EF]\d{4} [\d:.]+ \d+ \S+\] "?(.*?)"?$')
_FAILED_MODEL = re.compile(r"failed to load '([^']+)' version (\d+): (.*)")
_LOAD_BEGAN = re.compile(r'\] "loading: ([^"]+):(\d+)"$')
_LOAD_ENDED = re.compile(r"""\] "(?:successfully loaded|failed to load) '([^']+)'""")
_WITHOUT_A_GPU = ("CudaDriverHelper", "unable to create stream for")  # said at each such start
_POLL_FAILED = re.compile(r"Poll failed for model directory '([^']+)': (.*)")
# protobuf says what is wrong in a config.pbtxt, before Triton says which one it is.
_PARSE_FAILED = re.compile(r"Error parsing text-format inference\.ModelConfig: (\d+):\d+: (.*)")
# The second is said of a thread that could not be started either, when Triton waits for its end.
_NO_THREAD = ("what():  Resource temporarily unavailable", "what():  Invalid argument")
_RAISE_LIMIT = (
    "raise the limit of processes (`ulimit -u`, TasksMax= of a service, or the container's) or of"
    " memory (`ulimit -v`)."
)
_UNPARSED = "failed to read text proto from"


class TritonLog:
    """The log file of one launcher; each start of Triton continues it."""

    def __init__(self, path: Path, limit: int = LIMIT_BYTES) -> None:
        self.path = path
        self._limit = limit
        self._recent: deque[str] = deque()
        self._reader: threading.Thread | None = None
        self._rotate()

    def follow(self, stream: IO[str]) -> None:
        """Copy a process's output into the file, in the background, until it ends."""
        # Not cleared: what the process before this one says late is none of this one's.
        self._recent = deque(maxlen=MOST_RECENT)
        self._reader = threading.Thread(target=self._copy, args=(stream, self._recent), daemon=True)
        self._reader.start()

    def is_drained(self) -> bool:
        """Tell whether a Triton that is stopping has answered all it had admitted."""
        return any("All models are stopped" in line for line in list(self._recent)[-100:])

    def loading(self) -> set[tuple[str, str]]:
        """Name the (model, version) pairs that Triton has begun to load and not finished."""
        begun: set[tuple[str, str]] = set()
        for line in list(self._recent):
            if match := _LOAD_BEGAN.search(line):
                begun.add((match[1], match[2]))
            elif match := _LOAD_ENDED.search(line):
                begun = {key for key in begun if key[0] != match[1]}
        return begun

    def reason(self) -> str:
        """Say in one line why the process whose output was followed failed."""
        if self._reader:
            self._reader.join(timeout=2.0)
        return explain(list(self._recent))

    def _copy(self, stream: IO[str], recent: deque[str]) -> None:
        with stream:
            for line in stream:
                recent.append(line.rstrip("\n"))
                # A full disk loses the log; an unread pipe would stop Triton.
                with contextlib.suppress(OSError):
                    self._write(line)

    def _write(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
            full = file.tell() > self._limit
        if full:
            self._rotate()

    def _rotate(self) -> None:
        """Keep one older file beside the current one."""
        with contextlib.suppress(OSError):
            self.path.replace(self.path.with_name(self.path.name + ".1"))


def explain(lines: Iterable[str]) -> str:
    """Find the reason for a failed start in Triton's log: the models' first, then the server's.

    Several models get one line each.
    """
    entries = [entry for entry in _entries(lines) if not entry.startswith(_WITHOUT_A_GPU)]
    if models := list(dict.fromkeys(filter(None, map(_model_failure, entries)))):
        return "\n".join(models)
    spoken = [line for line in lines if line.strip()]
    crashes = [line for line in spoken if "what():" in line]
    if any(crash.strip().startswith(_NO_THREAD) for crash in crashes):
        return f"it could start no more threads; {_RAISE_LIMIT}"
    return _shorten(next(reversed(crashes or entries or spoken), ""))


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """Yield the errors in Triton's log; that of a file it cannot parse gets its cause."""
    cause = ""
    for line in lines:
        if match := _PARSE_FAILED.search(line):
            cause = f", line {match[1]}: {match[2]}"
        elif match := _ENTRY.match(line):
            if _UNPARSED in match[1]:
                yield match[1] + cause
                cause = ""
            else:
                yield match[1]


def _model_failure(entry: str) -> str:
    """Name a model and why it failed; "" for an entry about something else."""
    if match := _FAILED_MODEL.search(entry):
        return f"model {match[1]} v{match[2]} cannot be loaded: {_explained(_shorten(match[3]))}"
    if match := _POLL_FAILED.search(entry):
        return f"model {match[1]} cannot be read: {_placed(_shorten(match[2]))}"
    return ""


def _explained(reason: str) -> str:
    """Add the usual causes to Triton's words about a process that has ended or lacks threads."""
    if reason.endswith(os.strerror(errno.EAGAIN)):
        return f"{reason}; {_RAISE_LIMIT}"
    ended_why = (
        " It died while loading: it ran out of memory, or its engine failed. In the latter case,"
        ' the parameter engine "tensorflow" may help.'
    )
    return f"{reason}{ended_why}" if reason.endswith("is not healthy.") else reason


def _placed(reason: str) -> str:
    """Add the place of a SavedModel's files to Triton's words about files it does not know."""
    unknown = "Could not determine backend" in reason
    return (
        f"{reason} A SavedModel is the directory VERSION/model.savedmodel." if unknown else reason
    )


def _shorten(text: str) -> str:
    """Cut a message to one line of readable length."""
    text = text.replace("\\n", "\n").partition("\n\nAt:")[0]  # Triton appends the traceback
    text = " ".join(text.split())
    text = text.removeprefix("Internal: ").removeprefix("Invalid argument: ")
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"
