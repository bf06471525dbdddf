"""Threads come from the cgroup's quota, version 1 and 2, not from the host's cores."""

import os

import pytest

from gateway.cpus import available_cpus

HOST = len(os.sched_getaffinity(0))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cgroup"


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def cpus(root, membership):
    write(root, "membership", membership)
    return available_cpus(root, root / "membership")


def test_without_a_quota_all_cpus_count(root):
    write(root, "box/cpu.max", "max 100000\n")
    assert cpus(root, "0::/box\n") == HOST


def test_a_quota_of_version_2_counts(root):
    write(root, "box/cpu.max", "100000 100000\n")
    assert cpus(root, "0::/box\n") == 1


def test_a_part_of_a_cpu_counts_as_one(root):
    write(root, "cpu.max", "20000 100000\n")
    assert cpus(root, "0::/\n") == 1


def test_a_quota_is_rounded_up(root):
    write(root, "box/cpu.max", "120000 100000\n")
    assert cpus(root, "0::/box\n") == min(2, HOST)


def test_the_quota_of_an_enclosing_group_counts(root):
    write(root, "pod/cpu.max", "100000 100000\n")
    write(root, "pod/box/cpu.max", "max 100000\n")
    assert cpus(root, "0::/pod/box\n") == 1


def test_a_quota_of_version_1_counts(root):
    write(root, "cpu/box/cpu.cfs_quota_us", "100000\n")
    write(root, "cpu/box/cpu.cfs_period_us", "100000\n")
    assert cpus(root, "2:cpuset:/\n1:cpu,cpuacct:/box\n0::/\n") == 1


def test_version_1_without_a_quota_leaves_all_cpus(root):
    write(root, "cpu/cpu.cfs_quota_us", "-1\n")
    write(root, "cpu/cpu.cfs_period_us", "100000\n")
    assert cpus(root, "1:cpu:/\n") == HOST


def test_a_namespace_whose_path_is_not_mounted_falls_back_to_the_root(root):
    write(root, "cpu.max", "100000 100000\n")
    assert cpus(root, "0::/docker/0123\n") == 1


def test_no_cgroups_at_all_leave_all_cpus(root):
    assert available_cpus(root, root / "nothing") == HOST
