"""Cores and memory: the affinity, and the limits of the groups of processes that this one is in."""

import os

import pytest

from infer.base.cores import cores, memory


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A machine of 64 cores, and a process in a group within a group."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64), raising=False)
    inner = tmp_path / "fs" / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("9:name=systemd:/\n0::/outer/inner\n")
    return tmp_path


def found(groups):
    return cores(groups / "fs", groups / "cgroup")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("200000 100000", 2),
        ("250000 100000", 3),
        ("50000 100000", 1),
        ("9900000 100000", 64),
        ("max 100000", 64),
        ("", 64),
        ("100000 0", 64),
    ],
)
@pytest.mark.parametrize("group", ["", "outer", "outer/inner"])
def test_the_limit_of_any_group_around_the_process_holds(groups, group, limit, expected):
    (groups / "fs" / group / "cpu.max").write_text(f"{limit}\n")
    assert found(groups) == expected


def test_the_smallest_limit_decides(groups):
    (groups / "fs" / "outer" / "cpu.max").write_text("300000 100000\n")
    (groups / "fs" / "outer" / "inner" / "cpu.max").write_text("600000 100000\n")
    assert found(groups) == 3


def test_other_groups_do_not_count(groups):
    (groups / "cpu.max").write_text("100000 100000\n")  # above the file system's root
    (groups / "fs" / "elsewhere").mkdir()
    (groups / "fs" / "elsewhere" / "cpu.max").write_text("100000 100000\n")
    assert found(groups) == 64


def test_without_such_groups_the_affinity_counts(groups):
    (groups / "cgroup").unlink()
    assert found(groups) == 64


@pytest.mark.parametrize("tree", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("own", ["outer/inner", "outer", ""])
@pytest.mark.parametrize(("quota", "expected"), [("200000", 2), ("-1", 64), ("150000", 2)])
def test_the_older_tree_of_groups(groups, tree, own, quota, expected):
    (groups / "cgroup").write_text(
        "9:name=systemd:/\n4:cpu,cpuacct:/outer/inner\n3:memory:/outer\n0::/\n"
    )
    folder = groups / "fs" / tree / own
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert found(groups) == expected


def test_within_a_container_the_path_may_be_the_hosts(groups):
    (groups / "cgroup").write_text("4:cpu,cpuacct:/docker/0123abcd\n")
    (groups / "fs" / "cpu").mkdir()
    (groups / "fs" / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (groups / "fs" / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert found(groups) == 3


def test_a_group_of_any_name_and_lines_that_tell_nothing(groups):
    group = groups / "fs" / os.fsdecode(b"\xff:1")
    group.mkdir()
    (group / "cpu.max").write_text("200000 100000\n")
    (groups / "cgroup").write_bytes(b"\nno line\n0:\n0::/\xff:1\n")
    assert found(groups) == 2


def test_this_machine():
    assert 1 <= cores() <= os.cpu_count()


def test_the_smallest_memory_of_any_group_holds(groups):
    def memory_here():
        return memory(groups / "fs", groups / "cgroup")

    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_here() == machine
    (groups / "fs" / "outer" / "inner" / "memory.max").write_text("max\n")
    (groups / "fs" / "outer" / "memory.max").write_text(f"{1 << 62}\n")
    assert memory_here() == machine
    (groups / "fs" / "memory.max").write_text("123456\n")
    assert memory_here() == 123_456


def test_the_memory_of_an_older_tree(groups):
    (groups / "cgroup").write_text("4:memory:/a/b\n3:cpu,cpuacct:/a/b\n")
    group = groups / "fs" / "memory" / "a"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("4096\n")
    assert memory(groups / "fs", groups / "cgroup") == 4_096
