"""Programs as the user names them (`file.py:name`, `.keras` file or TOML), and their frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from benchmarks.port.operation import PortError
from benchmarks.port.options import PARTS
from benchmarks.port.written import framework_of
from results.vocabulary import unknown

FRAMEWORKS = ("keras", "keras@torch", "keras@jax", "torch", "jax")
# Names that are looked for beside the model, in its file, unless an option names others.
BESIDE = (*PARTS, "epoch_loss", "schedule_unit", "accumulation", "average_weights", "loss_scale")
_WEIGHTS = (".pt", ".pth", ".h5", ".hdf5", ".npz", ".ckpt", ".safetensors", ".msgpack")


class Source(msgspec.Struct, kw_only=True):
    """One of the two programs.

    label: what the user typed. path: the file; "" for a shipped network.
    name: of the model in it; "" for a file that is a model itself.
    classes: of a network in TOML, which does not say it.
    parts: by part (loss, optimizer, ...) the file and name that an option gives.
    """

    label: str
    path: str
    name: str
    framework: str
    classes: int = 10
    parts: dict[str, tuple[str, str]] = {}

    @property
    def in_toml(self) -> bool:
        """True if it is a network in TOML, from a file or shipped."""
        return not self.name and not self.path.endswith(".keras")


def source(label: str, framework: str = "") -> Source:
    """The program that a word of the command line names.

    Args:
        framework: of FRAMEWORKS; "" to see it from the file.

    Raises:
        PortError: no such file, or no framework can be seen in it.
    """
    if framework and framework not in FRAMEWORKS:
        raise PortError(unknown("framework", framework, FRAMEWORKS))
    if label.endswith((".keras", ".toml")) or "." not in label:
        path = Path(label)
        if label.endswith(".keras") and not path.is_file():
            raise PortError(f"{label}: there is no such file")
        toml = not label.endswith(".keras")
        return Source(
            label=label, path=label, name="", framework=framework or ("torch" if toml else "keras")
        )
    path_text, name = named(label)
    found = framework or framework_of(Path(path_text), name)
    return Source(label=label, path=path_text, name=name, framework=found)


def named(label: str) -> tuple[str, str]:
    """File and name of `file.py:name`.

    Raises:
        PortError: it is written otherwise, or the file is not there.
    """
    path, colon, name = label.rpartition(":")
    if not colon or not name.isidentifier():
        if Path(label).suffix == ".py":
            raise PortError(f"{label}: say which model of the file: {label}:make")
        remedy = ""
        if Path(label).suffix in _WEIGHTS:
            remedy = "; for a file of weights, write a function that loads them into its model"
        raise PortError(
            f"{label}: neither file.py:name, nor a .keras file, nor a network in TOML{remedy}"
        )
    if not Path(path).is_file():
        raise PortError(f"{path}: there is no such file")
    return path, name


def as_wire(one: Source) -> dict[str, Any]:
    """A source as it goes to the program's process."""
    made: dict[str, Any] = msgspec.to_builtins(one)
    return made
