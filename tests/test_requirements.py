"""The two constraint files: the older one differs in the frameworks alone."""

from tests.conftest import ROOT

FRAMEWORKS = {
    *("keras", "tensorflow", "tensorflow-cpu", "torch"),
    *("jax", "jaxlib", "flax", "optax"),
}


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def number(version: str) -> list[int]:
    return [int(part) for part in version.partition("+")[0].split(".")]


def test_the_older_constraints_are_the_same_but_for_older_frameworks() -> None:
    now, older = pinned("constraints.txt"), pinned("constraints-older.txt")
    assert set(now) == set(older)
    assert {name for name in now if now[name] != older[name]} == FRAMEWORKS
    for name in FRAMEWORKS:
        assert number(older[name]) < number(now[name])
