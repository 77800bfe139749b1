"""The answer of `--explain` as text, and on the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.fidelity.explain.explain import (
    SEEN,
    TITLES,
    VERDICTS,
    Difference,
    Line,
    explain,
    nameless,
)
from benchmarks.fidelity.explain.question import Question
from results.words import count

if TYPE_CHECKING:
    from rich.console import Console


_ORDER = ", first what is stated and taken otherwise, then the largest"
_SIZE = re.compile(r"(?<=[(, ])\d+(?=[,)])")  # a number without a name: features, a kernel


def text(asked: Question, differences: Iterable[Difference], details: bool = True) -> Iterator[str]:
    """The lines to print: what is compared, and the three groups one after another.

    Args:
        details: every line of code, also where it will not matter; else one line for layers that
            differ in size alone.
    """
    differences = list(differences)
    names = " and ".join(TITLES[name] for name in asked.frameworks)
    size = "x".join(str(side) for side in asked.input_shape)
    optimizer = asked.recipe.optimizer.__struct_config__.tag
    yield (
        f"{names}: {asked.architecture.name} on pictures of {size}, "
        f"{count(asked.classes, 'class')}, {optimizer}, batches of {asked.recipe.batch_size}, on "
        f"{asked.device}; what differs: {SEEN[asked.symptom]}"
    )
    yield ""
    written: set[Line] = set()
    for verdict, heading in VERDICTS.items():
        group = [difference for difference in differences if difference.matters == verdict]
        if not group:
            continue
        yield f"{heading} ({len(group)}{_ORDER if verdict != 'no' else ''})"
        if verdict == "no" and not details:
            yield from _by_reason(group)
            continue
        for difference in group:
            yield f"  {difference.field}: {difference.why}"
            sizes = [difference.measured, difference.effect.words, difference.size]
            if verdict != "no":
                yield from (f"    {size}" for size in sizes if size)
                told = [f"{name} {value}" for name, value in difference.told.items() if value]
                yield f"    told as it stands: {'; '.join(told)}"
            if difference.lines and written.issuperset(difference.lines):
                yield "    lines as above"
                continue
            written.update(difference.lines)
            for line in difference.lines if details else _once(difference.lines):
                first, *more = line.code.splitlines()
                yield f"    {TITLES[line.framework]:8} {first}"
                yield from (f"    {'':8} {row}" for row in more)
                if line.alike:
                    own = "" if line in difference.lines else ", with their own sizes"
                    places = line.alike if details else ranges(line.alike)
                    yield f"    {'':8} # as well{own}: {', '.join(places)}"
        yield ""


def _by_reason(group: Iterable[Difference]) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for one in group:
        found.setdefault(one.why, []).append(one.field)
    yield from (f"  {why}: {', '.join(fields)}" for why, fields in found.items())
    yield "  (--details has their lines)"


def _once(lines: Iterable[Line]) -> list[Line]:
    """The lines without those that differ from an earlier one in sizes alone; it names them."""
    found: dict[tuple[str, str], Line] = {}
    for line in lines:
        key = line.framework, _SIZE.sub("#", nameless(line))
        first = found.setdefault(key, line)
        if first is not line:
            found[key] = replace(first, alike=(*first.alike, line.part, *line.alike))
    return list(found.values())


def ranges(names: Iterable[str]) -> list[str]:
    """Names that differ in one of their first two numbers as one: residual1_conv1 and
    residual2_conv1 are residual1-2_conv1."""
    found = list(names)
    for cut in (1, 3):
        groups: dict[tuple[str, str], list[str]] = {}
        for name in found:
            parts = re.split(r"(\d+(?:[-+]\d+)*)", name)
            ends = "".join(parts[:cut]), "".join(parts[cut + 1 :])
            groups.setdefault(ends, []).append("".join(parts[cut : cut + 1]))
        found = [f"{a}{_joined(numbers)}{b}" for (a, b), numbers in groups.items()]
    return found


def _joined(numbers: Iterable[str]) -> str:
    """Numbers as ranges: 1, 2, 3, 5 is 1-3+5."""
    found = [one for one in numbers if not one.isdigit()]
    runs: list[list[int]] = []
    for number in sorted(int(one) for one in numbers if one.isdigit()):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return "+".join([*(f"{a}-{b}" if b > a else str(a) for a, b in runs), *found])


def render(asked: Question, console: Console | None = None, details: bool = False) -> None:
    """Print them."""
    from results.terminal import Terminal

    console = console or Terminal(soft_wrap=True)
    for line in text(asked, explain(asked), details):
        style = "bold" if line and not line.startswith(" ") else None
        console.print(line, markup=False, highlight=False, style=style)
