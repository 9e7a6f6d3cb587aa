"""Memory is what the tightest of RAM, control group and ulimit leaves; what cannot be read is not made up."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_mdm_health.mdm.host.machine import ControlGroup, Killed, Machine, look_at_machine

MB = 1024**2


@pytest.fixture
def machine() -> Machine:
    return Machine(ram=8000, available=5000, swap=0, swap_free=0, group=ControlGroup(), ulimits={})


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return write(tmp_path / "proc", {"vmstat": "nr_free_pages 12\noom_kill 0\n"})


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_this_machine_is_as_psutil_sees_it() -> None:
    machine = look_at_machine()
    assert machine.ram == psutil.virtual_memory().total
    assert 0 < machine.free <= machine.most <= machine.ram


def test_without_limits_the_ram_is_what_counts(machine: Machine) -> None:
    assert (machine.most, machine.free, machine.bound_by) == (8000, 5000, "the machine's RAM")


def test_version_1_groups_are_read_up_to_the_root(tmp_path: Path, proc: Path) -> None:
    write(proc, {"self/cgroup": "5:devices:/\n4:cpu,memory:/a/b\n0::/\n"})
    groups = write(
        tmp_path / "groups/memory",
        {
            "memory.limit_in_bytes": "9223372036854771712\n",
            "a/memory.limit_in_bytes": f"{300 * MB}\n",
            "a/memory.usage_in_bytes": f"{100 * MB}\n",
            "a/memory.stat": f"cache 1\ntotal_inactive_file {60 * MB}\ntotal_active_file {20 * MB}\n",
            "a/b/memory.limit_in_bytes": "9223372036854771712\n",
            "a/b/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        },
    )
    machine = look_at_machine(proc, groups.parent)
    assert machine.group == ControlGroup(limit=300 * MB, free=280 * MB, kills=3)
    assert (machine.most, machine.bound_by) == (300 * MB, "the control group's limit")


def test_version_2_groups_are_read_up_to_the_root(tmp_path: Path, proc: Path) -> None:
    write(proc, {"self/cgroup": "0::/user.slice/mdm.scope\n"})
    groups = write(
        tmp_path / "groups",
        {
            "user.slice/memory.max": f"{400 * MB}\n",
            "user.slice/memory.current": f"{390 * MB}\n",
            "user.slice/mdm.scope/memory.max": f"{500 * MB}\n",
            "user.slice/mdm.scope/memory.current": f"{100 * MB}\n",
            "user.slice/mdm.scope/memory.events": "low 0\noom 2\noom_kill 1\n",
        },
    )
    assert look_at_machine(proc, groups).group == ControlGroup(limit=400 * MB, free=10 * MB, kills=1)


def test_a_group_without_a_limit_is_none(tmp_path: Path, proc: Path) -> None:
    write(proc, {"self/cgroup": "0::/mdm.scope\n"})
    groups = write(tmp_path / "groups", {"mdm.scope/memory.max": "max\n", "mdm.scope/memory.events": "oom_kill 0\n"})
    assert look_at_machine(proc, groups).group == ControlGroup(kills=0)


def test_in_a_container_the_group_is_where_its_files_are_mounted(tmp_path: Path, proc: Path) -> None:
    write(proc, {"self/cgroup": "4:memory:/docker/0123\n"})
    groups = write(tmp_path / "groups", {"memory/memory.limit_in_bytes": f"{200 * MB}\n"})
    assert look_at_machine(proc, groups).group.limit == 200 * MB


@pytest.mark.parametrize("text", ["", "nonsense\n", "1:cpu:/\n"])
def test_without_control_groups_there_is_no_limit(tmp_path: Path, proc: Path, text: str) -> None:
    write(proc, {"self/cgroup": text})
    assert look_at_machine(proc, tmp_path / "none").group == ControlGroup()


@pytest.fixture
def _ulimit() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (2000 * MB, hard))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@pytest.mark.usefixtures("_ulimit")
def test_a_ulimit_counts_as_the_shell_calls_it() -> None:
    machine = look_at_machine()
    assert (machine.most, machine.bound_by) == (2000 * MB, "ulimit -d")


def test_the_kernels_log_names_who_was_killed(tmp_path: Path, proc: Path) -> None:
    write(proc, {"vmstat": "oom_kill 2\n"})
    log = tmp_path / "kmsg"
    log.write_text(
        "5,0,0,-;Linux version 6.1\n"
        "3,900,61000000,-;Out of memory: Killed process 77 (mdm) total-vm:900000kB, anon-rss:800kB, file-rss:0kB\n"
        " SUBSYSTEM=none\n"
        "3,901,62000000,-;Memory cgroup out of memory: Killed process 78 (python3) total-vm:9kB, anon-rss:7kB\n"
    )
    machine = look_at_machine(proc, tmp_path / "none", log)
    assert machine.kills == 2
    assert machine.killed is not None
    assert [(each.name, each.size) for each in machine.killed] == [("mdm", 800 * 1024), ("python3", 7 * 1024)]
    assert machine.killed[1].at - machine.killed[0].at == pytest.approx(1.0)


def test_a_kernel_log_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, proc: Path) -> None:
    write(proc, {"vmstat": "oom_kill 1\n"})
    assert look_at_machine(proc, tmp_path / "none", tmp_path / "no log").killed is None


def test_without_a_killed_process_the_kernel_log_is_not_needed(tmp_path: Path, proc: Path) -> None:
    assert look_at_machine(proc, tmp_path / "none", tmp_path / "no log").killed == ()


def test_a_record_without_a_size_or_time_still_names_the_process(tmp_path: Path, proc: Path) -> None:
    write(proc, {"vmstat": "oom_kill 1\n"})
    log = write(tmp_path, {"kmsg": "Out of memory: Killed process 5 (mdm)\n"}) / "kmsg"
    killed = look_at_machine(proc, tmp_path / "none", log).killed
    assert killed is not None
    assert [Killed(name=each.name, at=0, size=each.size) for each in killed] == [Killed(name="mdm", at=0, size=0)]
