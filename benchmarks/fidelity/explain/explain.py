"""`--explain FILE.toml`: of what the frameworks do differently when told nothing, what will matter
for this network and this recipe, what will not, and the line that aligns each.

The question is that of a port by hand: each framework told what the specification states, in its
own words, and nothing else. Sizes "measured in trials" come from small trainings on a CPU, made
once for this project; they say the order of magnitude, not what another network will show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.fidelity.explain.difference import TITLES, Difference, Verdict
from frameworks.spec import architecture as architectures
from frameworks.spec.architecture import Architecture
from frameworks.spec.reading import SpecificationError, check_fields, read_table
from frameworks.spec.recipe import OPTIMIZERS, Recipe
from results.vocabulary import near_miss

if TYPE_CHECKING:
    from rich.console import Console


def explain(architecture: Architecture, recipe: Recipe) -> list[Difference]:
    """Every difference, those that matter first."""
    from benchmarks.fidelity.explain import callbacks, network, training

    found = [
        *network.differences(architecture, recipe),
        *training.differences(architecture, recipe),
        *callbacks.differences(recipe),
    ]
    order: list[Verdict] = ["yes", "sometimes", "no"]
    return sorted(found, key=lambda difference: order.index(difference.matters))


def load(name_or_path: str | Path) -> tuple[Architecture, Recipe]:
    """An architecture, shipped or from a file, with the recipe of the file's [recipe] table.

    Raises:
        SpecificationError: as `frameworks.spec.architecture.load`, or a bad recipe; the message
            names the file and the field.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        return architectures.load(name_or_path), Recipe()
    table = read_table(path, "architecture")
    recipe = table.pop("recipe", {})
    architecture = architectures.from_table(table, origin=str(path), default_name=path.stem)
    return architecture, _recipe(recipe, f"{path}: [recipe]")


def _recipe(table: Any, origin: str) -> Recipe:
    if not isinstance(table, dict):
        raise SpecificationError(f"{origin}: expected a table, got {type(table).__name__}.")
    optimizer = table.get("optimizer", {"name": "adam"})
    if isinstance(optimizer, str):
        optimizer = {"name": optimizer}
    if not isinstance(optimizer, dict):
        raise SpecificationError(f"{origin}: field 'optimizer': expected a name or a table.")
    name = str(optimizer.get("name", ""))
    if name not in OPTIMIZERS:
        raise SpecificationError(
            f"{origin}: unknown optimizer '{name}'{near_miss(name, list(OPTIMIZERS))}. "
            f"Known: {', '.join(OPTIMIZERS)}."
        )
    settings = {key: value for key, value in optimizer.items() if key != "name"}
    check_fields(settings, OPTIMIZERS[name], f"{origin}, optimizer '{name}'")
    check_fields(table, Recipe, origin)
    try:
        return msgspec.convert({**table, "optimizer": {**settings, "name": name}}, Recipe)
    except (msgspec.ValidationError, SpecificationError) as error:
        raise SpecificationError(f"{origin}: {error}") from error


_HEADINGS: Mapping[Verdict, str] = {
    "yes": "Will matter",
    "sometimes": "May matter",
    "no": "Will not matter",
}


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
            if difference.native:
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
