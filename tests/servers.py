"""Starts a real inference server for a test; standard library only, for both environments."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.logs import shown_on_failure
from tests.places import HOME, INFERENCE_PYTHON
from tests.waiting import wait_until

START_SECONDS = 240.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Running:
    """A launcher whose models infer; `output` has what it printed, `log` is Triton's own."""

    process: "subprocess.Popen[bytes]"
    host: str
    http_port: int
    grpc_port: int
    metrics_port: int
    health_port: int
    admin_key: str
    log: Path
    output: Path
    runtime_dir: Path
    env: dict[str, str]

    def printed(self) -> str:
        """Read what the launcher has printed so far."""
        return self.output.read_text()


def inference_env(repository: Path, directory: Path, **env: str) -> dict[str, str]:
    """Make a launcher's environment: free ports and its own runtime directory."""
    return os.environ | {
        "MODEL_REPOSITORY": str(repository),
        "TRITON_HTTP_PORT": "0",
        "TRITON_GRPC_PORT": "0",
        "TRITON_METRICS_PORT": "0",
        "TRITON_HEALTH_PORT": "0",
        "TRITON_READY_FILE": str(directory / "ready.json"),
        "EDGELENS_RUNTIME_DIR": str(directory / "run"),
        **env,
    }


@contextlib.contextmanager
def start_inference(repository: Path, **env: str) -> Iterator[Running]:
    """Run `python -m inference` until the block ends; environment variables as keywords."""
    with tempfile.TemporaryDirectory(prefix="edgelens-test-") as name:
        directory = Path(name)
        output, run = directory / "output.txt", directory / "run"
        variables = inference_env(repository, directory, **env)
        with launched(variables, output) as process, shown_on_failure(run / "triton.log", output):
            ready = await_ready(process, directory / "ready.json")
            yield Running(
                process=process,
                host=ready["host"],
                http_port=ready["http_port"],
                grpc_port=ready["grpc_port"],
                metrics_port=ready["metrics_port"],
                health_port=ready["health_port"],
                admin_key=Path(ready["admin_key_file"]).read_text(),
                log=Path(ready["log"]),
                output=output,
                runtime_dir=run,
                env=variables,
            )


@contextlib.contextmanager
def launched(env: dict[str, str], output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the launcher in a process group of its own; nothing of it outlives the block."""
    with output.open("ab") as file:
        process = subprocess.Popen(
            [INFERENCE_PYTHON, "-m", "inference"],
            cwd=HOME,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def await_ready(process: "subprocess.Popen[bytes]", file: Path) -> dict:
    """Read the file that a launcher writes when all its models infer."""
    ended = process.poll
    wait_until(lambda: file.exists() or ended() is not None, "the server is ready", START_SECONDS)
    assert file.exists(), "the launcher has ended"
    return json.loads(file.read_text())


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop the launcher cleanly, or by force if need be; Triton dies with it.

    Nobody needs an orderly end of its models, for which Triton takes up to three seconds.
    """
    if process.poll() is None:
        process.terminate()
        kill_children(process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_children(pid: int) -> None:
    """Kill what the main thread of a process has started, which it cleans up after."""
    with contextlib.suppress(OSError):  # it has ended, or they have
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
