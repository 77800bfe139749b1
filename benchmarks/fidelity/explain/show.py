"""The answer of `--explain` as text, and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from benchmarks.fidelity.explain.explain import (
    SEEN,
    TITLES,
    VERDICTS,
    Difference,
    Line,
    explain,
)
from benchmarks.fidelity.explain.question import Question

if TYPE_CHECKING:
    from rich.console import Console


def text(asked: Question, differences: Iterable[Difference]) -> Iterator[str]:
    """The lines to print: what is compared, and the three groups one after another."""
    differences = list(differences)
    names = " and ".join(TITLES[name] for name in asked.frameworks)
    size = "x".join(str(side) for side in asked.input_shape)
    optimizer = asked.recipe.optimizer.__struct_config__.tag
    yield (
        f"{names}: {asked.architecture.name} on pictures of {size}, {asked.classes} classes, "
        f"{optimizer}, batches of {asked.recipe.batch_size}, on {asked.device}; "
        f"what differs: {SEEN[asked.symptom]}"
    )
    yield ""
    written: set[Line] = set()
    for verdict, heading in VERDICTS.items():
        group = [difference for difference in differences if difference.matters == verdict]
        if not group:
            continue
        yield f"{heading} ({len(group)}{', the largest first' if verdict != 'no' else ''})"
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
            for line in difference.lines:
                first, *more = line.code.splitlines()
                yield f"    {TITLES[line.framework]:8} {first}"
                yield from (f"    {'':8} {row}" for row in more)
                if line.alike:
                    yield f"    {'':8} # as well: {', '.join(line.alike)}"
        yield ""


def render(asked: Question, console: Console | None = None) -> None:
    """Print them."""
    from results.terminal import Terminal

    console = console or Terminal(soft_wrap=True)
    for line in text(asked, explain(asked)):
        style = "bold" if line and not line.startswith(" ") else None
        console.print(line, markup=False, highlight=False, style=style)
