"""Memory as containers see it."""

from pathlib import Path

import psutil
import pytest

from service.system import memory


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "ROOT", tmp_path / "fs")
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "self")
    return tmp_path


def test_no_limit_leaves_the_machines_memory(cgroup: Path) -> None:
    write(cgroup / "fs" / "memory.max", "max")
    write(cgroup / "fs" / "memory.current", "1000")
    write(cgroup / "self", "0::/")
    assert memory.total_bytes() == psutil.virtual_memory().total
    assert memory.available_bytes() > 0


def test_the_tightest_group_counts_and_cached_files_are_not_in_use(cgroup: Path) -> None:
    write(cgroup / "fs" / "pod" / "memory.max", str(2**30))
    write(cgroup / "fs" / "pod" / "memory.current", str(2**29))
    write(cgroup / "fs" / "pod" / "memory.stat", f"anon 5\ninactive_file {2**28}\n")
    write(cgroup / "fs" / "pod" / "box" / "memory.max", str(2**34))
    write(cgroup / "fs" / "pod" / "box" / "memory.current", "7")
    write(cgroup / "self", "0::/pod/box")
    assert memory.total_bytes() == 2**30
    assert memory.available_bytes() == 2**30 - 2**29 + 2**28


def test_version_1(cgroup: Path) -> None:
    write(cgroup / "fs" / "memory" / "memory.limit_in_bytes", str(2**28))
    write(cgroup / "fs" / "memory" / "memory.usage_in_bytes", str(2**29))
    write(cgroup / "self", "3:memory:/\n2:cpu,cpuacct:/box")
    assert memory.total_bytes() == 2**28
    assert memory.available_bytes() == 0
    write(cgroup / "fs" / "memory" / "memory.limit_in_bytes", str(2**63 - 4096))
    assert memory.total_bytes() == psutil.virtual_memory().total
