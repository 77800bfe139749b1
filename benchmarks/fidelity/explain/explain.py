"""`--explain FILE.toml`: of what the frameworks do differently when told nothing, what will matter
for this network and this recipe, what will not, and the line that aligns each.

The question is that of a port by hand: each framework told what the specification states, in its
own words, and nothing else. Sizes "measured in trials" come from small trainings on a CPU, made
once for this project; they say the order of magnitude, not what another network will show.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from benchmarks.fidelity.explain.facts import facts, of_field
from frameworks.spec import architecture as architectures
from frameworks.spec.architecture import Architecture
from frameworks.spec.defaults import NATIVE, PROJECT
from frameworks.spec.reading import read_table
from frameworks.spec.recipe import OPTIMIZERS, Recipe

if TYPE_CHECKING:
    from rich.console import Console

Verdict = Literal["yes", "sometimes", "no"]
Lines = Mapping[str, str]  # by framework: keras, torch, flax

TITLES = {"keras": "Keras", "torch": "PyTorch", "flax": "Flax"}
_HEADINGS: Mapping[Verdict, str] = {
    "yes": "Will matter",
    "sometimes": "May matter",
    "no": "Will not matter",
}
_DEFAULT_NEEDS = {"parts": "there is no such layer", "open": "{stated}"}


@dataclasses.dataclass(frozen=True)
class Difference:
    """Something that the frameworks do differently when told nothing.

    field: named as in `frameworks.spec.defaults` where it is there.
    matters: for the network and recipe asked about; "sometimes" depends on what they do not say.
    size: how much, where it was measured or follows from a formula; "" where it is not known.
    native: what each framework does. align: the line that makes it do what the project does.
    """

    field: str
    matters: Verdict
    why: str
    size: str
    native: Lines
    align: Lines


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A difference in `differences.toml`, whose head says what the fields mean."""

    why: str
    matters: Verdict = "yes"
    needs: Mapping[str, str] = {}
    size: str = ""
    native: Lines | str = ""
    align: Lines | str = ""
    instead: dict[str, Lines] = {}
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)


def explain(architecture: Architecture, recipe: Recipe) -> list[Difference]:
    """Every difference, those that matter first."""
    entries, optimizers = _tables()
    told = facts(architecture, recipe)
    told |= optimizers[told["optimizer"]]
    found = []
    for name, entry in entries.items():
        field = name.format_map(told)
        if told["optimizer"] not in entry.optimizers or not (entry.native or field in PROJECT):
            continue  # of another optimizer
        own = of_field(field, architecture, recipe) if field in PROJECT else {}
        found.append(_difference(field, entry, told | own))
    order = list(_HEADINGS)
    return sorted(found, key=lambda difference: order.index(difference.matters))


@functools.cache
def _tables() -> tuple[dict[str, _Entry], dict[str, dict[str, str]]]:
    """The differences by field, and of each optimizer its words."""
    table = read_table(Path(__file__).with_name("differences.toml"), "differences")
    optimizers = table.pop("optimizers")
    for entry in table.values():
        if like := entry.pop("like", None):
            entry |= table[like]
    return msgspec.convert(table, dict[str, _Entry]), optimizers


def _difference(field: str, entry: _Entry, told: Mapping[str, Any]) -> Difference:
    def rendered(texts: Lines | str) -> Lines:
        if isinstance(texts, str):
            texts = dict.fromkeys(TITLES, texts) if texts else {}
        return {name: texts.get(name, "as it is").format_map(told) for name in TITLES if texts}

    needs = entry.needs or (_DEFAULT_NEEDS if field in PROJECT else {})
    reason = next((reason for fact, reason in needs.items() if not told[fact]), None)
    align = next((lines for fact, lines in entry.instead.items() if told[fact]), entry.align)
    return Difference(
        field,
        entry.matters if reason is None else "no",
        (reason or entry.why).format_map(told),
        entry.size.format_map(told),
        rendered(entry.native) or {name: f"{column[field]}" for name, column in NATIVE.items()},
        rendered(align),
    )


def load(name_or_path: str | Path) -> tuple[Architecture, Recipe]:
    """An architecture, shipped or from a file, with the recipe of the file's [recipe] table.

    Raises:
        SpecificationError: as `frameworks.spec.architecture.load`, or a bad recipe; the message
            names the file and the field.
    """
    architecture, told = architectures.load_with_recipe(name_or_path)
    return architecture, told.recipe


def text(differences: Iterable[Difference]) -> Iterator[str]:
    """The lines to print, the three groups one after another."""
    differences = list(differences)
    for verdict, heading in _HEADINGS.items():
        group = [difference for difference in differences if difference.matters == verdict]
        if not group:
            continue
        yield f"{heading} ({len(group)})"
        for difference in group:
            yield f"  {difference.field}: {difference.why}"
            if difference.size:
                yield f"    size: {difference.size}"
            told = [f"{TITLES[name]} {value}" for name, value in difference.native.items()]
            yield f"    left alone: {'; '.join(told)}"
            if verdict != "no":
                for name, line in difference.align.items():
                    yield f"    {TITLES[name]:8} {line}"
        yield ""


def render(differences: Iterable[Difference], console: Console | None = None) -> None:
    """Print them."""
    from rich.console import Console

    console = console or Console(soft_wrap=True)
    for line in text(differences):
        style = "bold" if line and not line.startswith(" ") else None
        console.print(line, markup=False, highlight=False, style=style)
