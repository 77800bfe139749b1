"""The constraint files: installable from the public index, and the older one differs little."""

import pytest

from tests.conftest import ROOT

FRAMEWORKS = {
    *("keras", "tensorflow", "tensorflow-cpu", "torch"),
    *("jax", "jaxlib", "flax", "optax"),
}


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-older.txt"])
def test_no_pin_has_a_local_version(name: str) -> None:
    """`2.13.0+cpu` is on no public index: it installs here, where such a wheel lies, and nowhere
    else."""
    local = {package for package, version in pinned(name).items() if "+" in version}
    assert not local


def test_the_older_constraints_are_the_same_but_for_older_frameworks() -> None:
    now, older = pinned("constraints.txt"), pinned("constraints-older.txt")
    assert set(now) == set(older)
    assert {name for name in now if now[name] != older[name]} == FRAMEWORKS
    for name in FRAMEWORKS:
        assert number(older[name]) < number(now[name])
