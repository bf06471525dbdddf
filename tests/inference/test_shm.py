"""What runs leave behind, and who may remove it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inference.tritonserver.identity import Run
from inference.tritonserver.processes import STUB
from inference.tritonserver.shm import (
    bearable,
    close_segments,
    leaked,
    remove_segments,
    shortage,
    sweep,
)
from tests.places import HOME


@pytest.fixture
def ended() -> Run:
    """A run whose process has ended."""
    code = "import inference.tritonserver.identity as i; print(i.Run.current().prefix)"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True
    )
    run = Run.from_name(ended.stdout.strip())
    assert run
    return run


def touch(directory: Path, *names: str) -> None:
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_text("x")


def stub_of(run: Run) -> subprocess.Popen[bytes]:
    """Start what looks like a model's process and uses the segment `a`; it ends with its stdin."""
    arguments = [STUB, "-c", "echo started; read line", f"{run.prefix}a"]
    pipe = subprocess.PIPE
    stub = subprocess.Popen(arguments, executable="/bin/sh", stdin=pipe, stdout=pipe)
    assert stub.stdout
    assert stub.stdout.readline() == b"started\n"
    return stub


def test_name_tells_the_run() -> None:
    run = Run.current()
    assert run.pid == os.getpid()
    assert Run.from_name(f"{run.prefix}b2b52e3f") == run
    assert Run.from_name("edgelens_is_not_only_ours") is None


def test_living_run_is_not_gone_and_an_ended_one_is(ended: Run) -> None:
    assert not Run.current().is_gone()
    assert ended.is_gone()


def test_another_process_with_the_same_pid_does_not_keep_a_run_alive() -> None:
    run = Run.current()
    assert Run(run.namespace, run.pid, run.started - 1).is_gone()


def test_runs_of_another_container_are_left_alone(ended: Run) -> None:
    assert not Run(ended.namespace + 1, ended.pid, ended.started).is_gone()


def test_process_that_nobody_waited_for_counts_as_ended() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    run = Run.current()
    started = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
    assert Run(run.namespace, child.pid, started).is_gone()
    child.wait()


def test_sweep_removes_only_what_ended_runs_left(ended: Run, tmp_path: Path) -> None:
    shm, temporary, own = tmp_path / "shm", tmp_path / "tmp", Run.current()
    touch(shm, f"{ended.prefix}segment", f"{own.prefix}segment", "sem.other")
    touch(temporary, "notes.txt")
    touch(temporary / f"{ended.prefix}backends", "stub")
    sweep(shm, temporary)
    assert sorted(p.name for p in shm.iterdir()) == [f"{own.prefix}segment", "sem.other"]
    assert [p.name for p in temporary.iterdir()] == ["notes.txt"]


def test_sweep_kills_the_processes_that_an_ended_run_left(ended: Run, tmp_path: Path) -> None:
    touch(tmp_path, f"{ended.prefix}a")
    with stub_of(ended) as stub:
        sweep(tmp_path, tmp_path / "absent")
        assert stub.wait() == -signal.SIGKILL


def test_segments_of_one_run_are_removed(ended: Run, tmp_path: Path) -> None:
    touch(tmp_path, f"{ended.prefix}a", f"{ended.prefix}b", f"{Run.current().prefix}c")
    remove_segments(ended, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [f"{Run.current().prefix}c"]


def test_another_users_directory_that_is_named_like_a_segment_stops_nothing(
    ended: Run, tmp_path: Path
) -> None:
    touch(tmp_path, f"{ended.prefix}a", f"{ended.prefix}c")
    touch(tmp_path / f"{ended.prefix}b", "file")
    remove_segments(ended, tmp_path)
    assert not list(tmp_path.iterdir())


def test_leaked_segments_are_measured(ended: Run, tmp_path: Path) -> None:
    assert leaked(ended, tmp_path) == 0
    touch(tmp_path, f"{ended.prefix}a", f"{ended.prefix}b", f"{Run.current().prefix}c")
    os.truncate(tmp_path / f"{ended.prefix}a", 4096)
    assert leaked(ended, tmp_path) == 4097


def test_what_a_live_process_uses_has_not_leaked(tmp_path: Path) -> None:
    run = Run.current()
    touch(tmp_path, f"{run.prefix}a", f"{run.prefix}b")
    with stub_of(run):
        assert leaked(run, tmp_path) == 1
    assert leaked(run, tmp_path) == 2


def test_a_quarter_of_the_shared_memory_is_bearable(tmp_path: Path) -> None:
    statistics = os.statvfs(tmp_path)
    assert bearable(tmp_path) == statistics.f_blocks * statistics.f_frsize // 4
    assert bearable(tmp_path / "absent") == 0


def test_system_without_shared_memory_has_nothing_to_remove(tmp_path: Path) -> None:
    remove_segments(Run.current(), tmp_path / "absent")


def test_segments_are_closed_to_other_users_and_strangers_left_alone(tmp_path: Path) -> None:
    run = Run.current()
    touch(tmp_path, f"{run.prefix}ours", "other")
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    close_segments(run, tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {f"{run.prefix}ours": 0o600, "other": 0o644}


def test_a_start_says_what_it_costs_that_little_shared_memory_is_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert shortage(True, free // 2, tmp_path) == ""
    assert f" are free in {tmp_path}; " in shortage(True, free * 2, tmp_path)
    assert "Only 0 MB are free" in shortage(True, 1, tmp_path / "missing")


@pytest.mark.parametrize("caching", [True, False])
def test_the_response_cache_is_named_only_where_there_is_one(caching: bool, tmp_path: Path) -> None:
    said = shortage(caching, 1, tmp_path / "missing")
    assert ("response cache" in said, "TRITON_CACHE_BYTES=0" in said) == (caching, caching)
    assert "requests fail" in said
