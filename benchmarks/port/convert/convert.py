"""The files that `--convert` writes: the network in another framework, and a test beside it."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from benchmarks.port.operation import Listing, PortError

_MARK = "written by `python -m benchmarks.port --convert`"
_TEST = '''"""{name} computes what {label} does: weights carried, in float64."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_both_are_equal():
    pair = {pair}
    command = [sys.executable, "-m", "benchmarks.port", *pair, "--given-weights", *{options}]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
'''


def converted(listing: Listing, label: str, framework: str) -> tuple[str, str]:
    """The text of a module, and the name of the model in it.

    Args:
        listing: of the program, as a reader gave it. label: as the user typed it.
        framework: torch, keras or flax.

    Raises:
        PortError: an operation has no plain form there; it is named.
    """
    writer = importlib.import_module(f"benchmarks.port.convert.{framework}")
    imports, body = writer.module(listing, label)
    notes = _notes(listing, framework)
    title = f'"""The network of {_quoted(label)}; {_MARK}.'
    head = [title, "", *notes, '"""'] if notes else [title + '"""']
    return "\n".join([*head, "", *imports, "", "", *body]) + "\n", writer.NAME


def _quoted(label: str) -> str:
    """The label inside a docstring, which it must not end."""
    return label.replace("\\", "/").replace('"', "'")


def _notes(listing: Listing, framework: str) -> list[str]:
    """Notes on penalties and constraints, which the module cannot hold."""
    terms = [
        f"{one.name}: {name.replace('_', ' ')} {value}"
        for one in listing.operations
        for name, value in one.constants.items()
        if name.endswith(("_regularizer", "_constraint"))
    ]
    if not terms or framework == "keras":
        return []
    return ["Not in the module, for it belongs to the loss and the step:", *terms]


def check_of(path: Path, name: str, label: str, options: list[str]) -> str:
    """The text of a test that the module at `path` is equal to the program `label`."""
    first = label
    if (file := Path(label.rpartition(":")[0] or label)).exists():
        first = os.path.relpath(file, path.parent) + label[len(str(file)) :]
    pair = [first, f"{path.name}:{name}"]
    return _TEST.format(name=path.name, label=_quoted(label), pair=pair, options=options)


def target(label: str, framework: str, beside: Path | None) -> Path:
    """The file to write: beside the program, or as `--write` names it.

    Raises:
        PortError: another file is there.
    """
    file = label.rpartition(":")[0] or label
    stem = beside.stem if beside else Path(file).stem
    place = beside.parent if beside else Path()
    path = place / f"{stem.replace('-', '_').replace('.', '_')}_{framework}.py"
    if path.exists() and _MARK not in path.read_text(errors="replace"):
        raise PortError(
            f"--convert: {path} is there and is not of --convert; move it, or name "
            "another with --write FILE.toml"
        )
    return path
