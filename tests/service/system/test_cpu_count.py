"""CPU quotas as containers see them."""

import os
from pathlib import Path

import pytest

from service.system import cpu_count


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.mark.parametrize(("text", "quota"), [("150000 100000", 1.5), ("max 100000", None)])
def test_version_2_inside_a_container(tmp_path: Path, text: str, quota: float | None) -> None:
    write(tmp_path / "fs" / "cpu.max", text)
    write(tmp_path / "self", "0::/")
    assert cpu_count.cgroup_quota(tmp_path / "fs", tmp_path / "self") == quota


def test_version_2_counts_the_tightest_of_all_groups_above(tmp_path: Path) -> None:
    write(tmp_path / "fs" / "pod" / "cpu.max", "200000 100000")
    write(tmp_path / "fs" / "pod" / "box" / "cpu.max", "400000 100000")
    write(tmp_path / "self", "0::/pod/box")
    assert cpu_count.cgroup_quota(tmp_path / "fs", tmp_path / "self") == 2


@pytest.mark.parametrize(("quota", "expected"), [("250000", 2.5), ("-1", None)])
def test_version_1(tmp_path: Path, quota: str, expected: float | None) -> None:
    write(tmp_path / "fs" / "cpu,cpuacct" / "box" / "cpu.cfs_quota_us", quota)
    write(tmp_path / "fs" / "cpu,cpuacct" / "box" / "cpu.cfs_period_us", "100000")
    write(tmp_path / "self", "3:memory:/other\n2:cpu,cpuacct:/box")
    assert cpu_count.cgroup_quota(tmp_path / "fs", tmp_path / "self") == expected


def test_no_cgroup_is_no_limit(tmp_path: Path) -> None:
    assert cpu_count.cgroup_quota(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(("quota", "expected"), [(None, 6), (0.5, 1), (2.5, 3), (64.0, 6)])
def test_the_quota_limits_what_affinity_allows(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(cpu_count, "cgroup_quota", lambda *_: quota)
    assert cpu_count.usable_cores() == expected
