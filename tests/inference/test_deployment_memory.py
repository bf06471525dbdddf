"""How much memory a version takes, and how much there is."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inference.deployment.errors import DeployError
from inference.deployment.memory import (
    available_memory,
    membership_of,
    needed_for,
    require_memory,
)
from tests.waiting import wait_until


def test_memory_is_the_machines_without_a_limit(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 2000 kB\nBuffers: 1 kB\n")
    found = available_memory(tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "none")
    assert found == 2000 << 10


@pytest.mark.parametrize(
    ("membership", "group", "texts"),
    [
        (
            "0::/a/b\n",
            "a",
            {
                "memory.max": "900000",
                "memory.current": "500000",
                "memory.stat": "anon 5\ninactive_file 100000\n",
            },
        ),
        (
            "4:cpu,memory:/a\n1:name=systemd:/\n",
            "memory/a",
            {
                "memory.limit_in_bytes": "900000",
                "memory.usage_in_bytes": "500000",
                "memory.stat": "total_inactive_file 100000\n",
            },
        ),
    ],
    ids=["version 2, set above", "version 1"],
)
def test_a_cgroups_limit_counts_with_its_idle_cache_as_free(
    tmp_path: Path, membership: str, group: str, texts: dict[str, str]
) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable: 2000 kB\n")
    (tmp_path / "membership").write_text(membership)
    directory = tmp_path / "cgroup" / group
    directory.mkdir(parents=True)
    for name, text in texts.items():
        (directory / name).write_text(text)
    found = available_memory(tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "membership")
    assert found == 500_000


@pytest.mark.parametrize(("limit", "left"), [("max", 2000 << 10), ("900000", 0)])
def test_a_cgroup_leaves_everything_without_a_limit_and_nothing_over_it(
    tmp_path: Path, limit: str, left: int
) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable: 2000 kB\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("950000\n")
    assert available_memory(tmp_path / "meminfo", tmp_path, tmp_path / "none") == left


def test_the_cgroup_that_counts_is_the_servers() -> None:
    with named("docker", 65001), named("tritonserver", 65000) as server:
        # For an instant after `exec` a process has no command line.
        found = Path(f"/proc/{server.pid}/cgroup")
        wait_until(lambda: membership_of(65000) == found, "the server's is found", 10)
        # The program that began a container is not in the container's cgroup.
        assert membership_of(65001) == Path("/proc/self/cgroup")


@contextmanager
def named(program: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Let an idle process of this name have the server's argument."""
    command = [program, "-c", "read line", f"--http-port={port}"]
    with subprocess.Popen(command, executable="/bin/sh", stdin=subprocess.PIPE) as process:
        yield process
        process.stdin.close()


def test_a_version_needs_more_than_its_files(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(1000))
    assert needed_for(tmp_path) == 2300 + (150 << 20)
    require_memory([tmp_path], 2300 + (150 << 20), "It")
    with pytest.raises(DeployError, match="about 158 MB of memory, but only 157 MB are"):
        require_memory([tmp_path], 2299 + (150 << 20), "It")
