"""The fingerprint: what it holds, and what does not change it."""

import json
import sys

import pytest

from benchmarks.system import machine


def test_description_is_complete_and_plain() -> None:
    description = machine.describe()
    assert json.loads(json.dumps(description)) == description
    assert all(description[field] for field in ("cpu", "system", "cpus", "memory_gib"))
    assert isinstance(description["gpus"], list)


def test_the_id_is_stable_and_ignores_what_changes_on_one_machine() -> None:
    description = machine.describe()
    identity = machine.machine_id(description)
    assert identity == machine.machine_id(machine.describe())
    for field in ("release", "python", "instructions", "cores"):
        assert machine.machine_id({**description, field: "other"}) == identity
    for field in ("cpu", "cpus", "memory_gib", "system"):
        assert machine.machine_id({**description, field: "other"}) != identity


def test_a_new_driver_is_the_same_machine_and_another_gpu_is_not() -> None:
    gpu = {"name": "H100", "memory_gib": 80, "driver": "570.1"}
    base = machine.describe()
    first = machine.machine_id({**base, "gpus": [gpu]})
    assert machine.machine_id({**base, "gpus": [{**gpu, "driver": "580.2"}]}) == first
    assert machine.machine_id({**base, "gpus": [{**gpu, "name": "H200"}]}) != first
    assert machine.machine_id({**base, "gpus": []}) != first


def test_versions_are_read_without_an_import() -> None:
    before = set(sys.modules)
    found = machine.versions()
    heavy = {"tensorflow", "keras", "torch", "jax", "flax", "optax"}
    assert not heavy & (set(sys.modules) - before)
    assert {"numpy", "python"} <= set(found)
    assert machine.versions(["no-such-distribution"]) == {"python": found["python"]}


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", 8), ("", 8)],
)
def test_cpus_are_cut_to_the_quota(monkeypatch, quota: str, expected: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(
        machine, "_read", lambda path: quota if path == "/sys/fs/cgroup/cpu.max" else ""
    )
    assert len(machine.usable_cpus()) == expected


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/user/job\n", "/sys/fs/cgroup/user/memory.max"),
        ("4:memory:/a/b\n0::/\n", "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes"),
        ("", "/sys/fs/cgroup/memory.max"),
    ],
)
def test_memory_is_cut_to_the_limit_of_any_group(monkeypatch, groups: str, file: str) -> None:
    files = {"/proc/self/cgroup": groups, file: "123456789"}
    monkeypatch.setattr(machine, "_read", lambda path: files.get(path, ""))
    assert machine.memory_bytes() == 123456789
    assert machine.device_memory_bytes("cpu") == 123456789


def test_a_hidden_gpu_is_none(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.gpus() == []


def test_the_processor_s_name() -> None:
    assert (
        machine.cpu_model("processor : 0\nmodel name\t: Fast  CPU @ 3 GHz\n") == "Fast CPU @ 3 GHz"
    )


def test_commit_of_this_checkout() -> None:
    revision, dirty = machine.commit()
    if revision is None:
        pytest.skip("not a git checkout")
    assert len(revision) == 40
    assert isinstance(dirty, bool)
