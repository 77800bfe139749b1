"""Both programs as frameworks of `python -m benchmarks.run`: a small module that names them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import NamedTuple

import msgspec

from benchmarks.port.operation import Listing, PortError
from benchmarks.port.programs import Source, as_wire
from benchmarks.port.recipes import parted
from benchmarks.port.write import keys, written

_HEAD = '''"""Programs as frameworks of `python -m benchmarks.run`; written by `benchmarks.port`.

{command}
"""

from benchmarks.port.backend import ProgramBackend
'''
_CLASS = '''

class {name}(ProgramBackend):
    """{label}."""

    program = {program}
    size = {size}
    keys = {keys}
'''


class One(NamedTuple):
    """A program; `mapping` has A's names of weights and its own."""

    source: Source
    listing: Listing
    mapping: Mapping[str, str]


def network(programs: Mapping[str, One]) -> str:
    """The network of A in TOML, with as much of its recipe as has words.

    Groups of batches and a scaled loss are left to the programs' own steps. The harness evaluates
    averages: the file states those of the first program that has any.

    Raises:
        PortError: the network or the loss has none.
    """
    listing, title = programs["A"].listing, programs["A"].source.label
    own, _ = parted(listing.recipe.optimizer)
    every = [parted(one.listing.recipe.optimizer)[1] for one in programs.values()]
    first = next((one for one in every if "average_weights" in one), {})
    around = {k: v for k, v in first.items() if k in ("average_weights", "average_start")}
    recipe = msgspec.structs.replace(listing.recipe, rates={}, optimizer=own | around)
    try:
        return written(msgspec.structs.replace(listing, recipe=recipe), title)
    except PortError:
        recipe = msgspec.structs.replace(recipe, optimizer=around)
        return written(msgspec.structs.replace(listing, recipe=recipe), title)


def module(programs: Mapping[str, One], command: str) -> str:
    """The text of a module with a class for each program.

    Args:
        programs: by the name of the class: A first, whose network all train.
        command: that trains them.

    Raises:
        PortError: A's network cannot be written, or a weight has no counterpart in another.
    """
    first = programs["A"]
    of_a = keys(first.listing, first.source.label)
    text = _HEAD.format(command=command)
    for name, (one, listing, mapping) in programs.items():
        lost = [key for key in of_a.values() if key not in mapping]
        if lost:
            raise PortError(f"{one.label} has no weight for A's {lost[0]}", status=4)
        order = list(listing.parameters)
        mine = {key: mapping[weight] for key, weight in of_a.items()}
        found = dict(sorted(mine.items(), key=lambda item: order.index(item[1])))
        program = {**as_wire(one), "path": _absolute(one.path)}
        program["parts"] = {part: (_absolute(p), n) for part, (p, n) in one.parts.items()}
        shown = [pformat(value, width=92, sort_dicts=False) for value in (program, found)]
        indented = [one.replace("\n", "\n    ") for one in shown]
        text += _CLASS.format(
            name=name, label=one.label, size=listing.input, program=indented[0], keys=indented[1]
        )
    return text


def command(path: Path, programs: Mapping[str, One], options: argparse.Namespace) -> list[str]:
    """The words of `python -m benchmarks.run` that train all, with the options of a comparison.

    Args:
        path: of the module, without its suffix.

    Raises:
        PortError: the module cannot be imported from the current directory.
    """
    name = os.path.relpath(path).replace(os.sep, ".")
    if not all(part.isidentifier() for part in name.split(".")):
        raise PortError(f"{path}.py cannot be imported from here; name a file below this folder")
    listings = [one.listing for one in programs.values()]
    drops = any(one.kind == "dropout" for listing in listings for one in listing.operations)
    frameworks = [f"{name}:{one}" for one in programs]
    words: dict[str, list[object]] = {
        "frameworks": [*frameworks],
        "architectures": [f"{path}.toml"],
        "dataset": [options.dataset or "demo"],
        "channels": [options.channels],
        "image-size": [listings[0].input[0]],
        "parity": ["native" if drops else "matched"],
        "seeds": [*options.seeds],
        "store": [options.store],
    }
    if options.train:
        words |= {"epochs": [options.train], "batch-size": [options.batch_size]}
    others = zip(frameworks, options.python, strict=False)
    found = [word for name, given in words.items() for word in (f"--{name}", *map(str, given))]
    for framework, python in others:
        found += ["--python", f"{framework}={python}"] if python != "-" else []
    return found


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if Path(path).exists() else path
