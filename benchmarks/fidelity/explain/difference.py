"""One difference between the frameworks, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

Verdict = Literal["yes", "sometimes", "no"]


Lines = Mapping[str, str]  # by framework: keras, torch, flax


TITLES = {"keras": "Keras", "torch": "PyTorch", "flax": "Flax"}


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
    size: str = ""
    native: Lines = dataclasses.field(default_factory=dict)
    align: Lines = dataclasses.field(default_factory=dict)
