"""Both programs as frameworks of `python -m benchmarks.run`: a small module that names them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat

import msgspec

from benchmarks.port.operation import Listing, PortError
from benchmarks.port.programs import Source, as_wire
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


def network(listing: Listing, title: str) -> str:
    """The network of a program in TOML, with as much of its recipe as has words.

    Raises:
        PortError: the network or the loss has none.
    """
    recipe = msgspec.structs.replace(listing.recipe, rates={})
    try:
        return written(msgspec.structs.replace(listing, recipe=recipe), title)
    except PortError:
        recipe = msgspec.structs.replace(recipe, optimizer={})
        return written(msgspec.structs.replace(listing, recipe=recipe), title)


def module(
    sources: Mapping[str, Source],
    listings: tuple[Listing, Listing],
    mapping: Mapping[str, str],
    command: str,
) -> str:
    """The text of a module with a class for each program, A's and B's.

    Args:
        sources: by the name of the class: A first.
        listings: of both; the network that both train is A's.
        mapping: A's names of weights to B's.
        command: that trains them.

    Raises:
        PortError: A's network cannot be written, or a weight has no counterpart in B.
    """
    (_, first), (_, second) = sources.items()
    of_a = keys(listings[0], first.label)
    lost = [name for name in of_a.values() if name not in mapping]
    if lost:
        raise PortError(f"{second.label} has no weight for A's {lost[0]}", status=4)
    text = _HEAD.format(command=command)
    of_b = {key: mapping[name] for key, name in of_a.items()}
    for (name, one), found, listing in zip(sources.items(), (of_a, of_b), listings, strict=True):
        order = list(listing.parameters)
        found = dict(sorted(found.items(), key=lambda item: order.index(item[1])))
        program = {**as_wire(one), "path": _absolute(one.path)}
        program["parts"] = {part: (_absolute(p), n) for part, (p, n) in one.parts.items()}
        shown = [pformat(value, width=92, sort_dicts=False) for value in (program, found)]
        indented = [one.replace("\n", "\n    ") for one in shown]
        text += _CLASS.format(
            name=name, label=one.label, size=listing.input, program=indented[0], keys=indented[1]
        )
    return text


def command(path: Path, listings: tuple[Listing, Listing], options: argparse.Namespace) -> str:
    """The command line that trains both in the harness, with the options of a comparison.

    Args:
        path: of the module, without its suffix.

    Raises:
        PortError: the module cannot be imported from the current directory.
    """
    name = os.path.relpath(path).replace(os.sep, ".")
    if not all(part.isidentifier() for part in name.split(".")):
        raise PortError(f"{path}.py cannot be imported from here; name a file below this folder")
    drops = any(one.kind == "dropout" for listing in listings for one in listing.operations)
    words = {
        "frameworks": f"{name}:A {name}:B",
        "architectures": f"{path}.toml",
        "dataset": options.dataset or "demo",
        "channels": options.channels,
        "image-size": listings[0].input[0],
        "parity": "native" if drops else "matched",
    }
    if options.train:
        words |= {"epochs": options.train, "batch-size": options.batch_size}
    return "python -m benchmarks.run " + " ".join(f"--{k} {v}" for k, v in words.items())


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if Path(path).exists() else path
