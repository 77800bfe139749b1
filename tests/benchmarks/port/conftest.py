"""The programs' processes, one of each framework for all pairs: starting one takes seconds."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from benchmarks.port.compare import Found, Options, compare
from benchmarks.port.programs import Source, named, source
from benchmarks.port.wire import Side
from tests.conftest import ROOT

PROGRAMS = ROOT / "tests" / "data" / "port"
Compared = Callable[..., Found]


def held(cases: Sequence[Any], *kept: str) -> list[Any]:
    """The cases as parameters; those that begin with a kept name are in the extended set too."""
    found = []
    for case in cases:
        values = case if isinstance(case, tuple) else (case,)
        marks = [pytest.mark.extended] if values[0] in kept else []
        found.append(pytest.param(*values, marks=marks))
    assert sum(bool(one.marks) for one in found) >= len(kept), kept
    return found


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    """Compares `file.py:name` with another; files of tests/data/port may go by their names.

    Keywords of `a` and `b` (optimizer="aligned") name other parts of the same file; the rest are
    `Options`.
    """
    with contextlib.ExitStack() as stack:
        sides: dict[str, Side] = {}

        def side(framework: str, place: str) -> Side:
            key = f"{framework}-{place}" if place == "again" else framework
            if key not in sides:
                folder = tmp_path_factory.mktemp("side") / key.replace("@", "-")
                sides[key] = stack.enter_context(Side(framework, folder))
            return sides[key]

        def run(
            one: str,
            other: str,
            parts: tuple[dict[str, str], dict[str, str]] = ({}, {}),
            frameworks: tuple[str, str] = ("", ""),
            **options: object,
        ) -> Found:
            made = tuple(
                _source(label, framework, given)
                for label, framework, given in zip((one, other), frameworks, parts, strict=True)
            )
            twice = made[0].framework == made[1].framework
            both = (
                side(made[0].framework, ""),
                side(made[1].framework, "again" if twice else ""),
            )
            return compare(both, made, Options(**{"steps": 3, **options}))  # type: ignore[arg-type]

        yield run


def _source(label: str, framework: str, parts: dict[str, str]) -> Source:
    made = source(_path(label), framework)
    for part, name in parts.items():
        made.parts[part] = named(f"{made.path}:{name}")
    return made


def _path(label: str) -> str:
    return label if "/" in label or "." not in label else str(PROGRAMS / label)
