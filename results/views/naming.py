"""How views and panels are named: with as much as it takes to tell them apart."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from results.schema import USUAL

VIEW_ALWAYS = dict.fromkeys(("dataset", "parity", "tuning", "precision", "device"), "{}")
VIEW_IF_NEEDED = {
    "labels": "{} labels",
    "channels": "channels {}",
    "image_height": "{} pixels",
    "threads": "{} threads",
    "machine_id": "machine {:.6}",
    "dataset_sha256": "data {:.6}",
}
PANEL_ALWAYS = {"architecture": "{}"}
PANEL_IF_NEEDED = {
    "batch_size": "batch {}",
    "epochs": "{} epochs",
    "optimizer": "{}",
    "learning_rate": "rate {}",
    "architecture_hash": "layers {:.6}",
}
# Words in every name for what is not usual.
_UNUSUAL = {
    "fraction": "fraction {}",
    "augmentation": "{}",
    "split_by": "split by {} (leak)",
    "test_copies": "tested on {} copies",
    "part_of": "{}",
}
OF_VIEWS = ("fraction", "augmentation")
OF_PANELS = ("split_by", "test_copies", "part_of")


def unusual(group: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """A word for each of these columns in which the group is not as usual."""
    values = {column: group[column].iloc[0] for column in columns}
    return [
        _UNUSUAL[column].format(value if isinstance(value, str) else f"{value:g}")
        for column, value in values.items()
        if value != USUAL.get(column, "")
    ]


def names_of(
    groups: list[pd.DataFrame],
    always: dict[str, str],
    said_if_unusual: Iterable[str],
    if_needed: dict[str, str],
) -> list[str]:
    """A name for each group, with as much as it takes to tell the groups apart.

    Args:
        groups: each with one value in every column named.
        always: a format for each column that is in every name.
        said_if_unusual: columns of `_UNUSUAL` that are in every name where they are not as usual.
        if_needed: a format for each column that is used between groups of the same name.
    """

    def word(group: pd.DataFrame, column: str, form: str) -> str:
        return form.format(str(group[column].iloc[0]))

    names = [
        ", ".join([word(group, *item) for item in always.items()] + unusual(group, said_if_unusual))
        for group in groups
    ]
    for item in if_needed.items():
        words = [word(group, *item) for group in groups]
        variants: dict[str, set[str]] = {}
        for name, extra in zip(names, words, strict=True):
            variants.setdefault(name, set()).add(extra)
        names = [
            f"{name}, {extra}" if len(variants[name]) > 1 else name
            for name, extra in zip(names, words, strict=True)
        ]
    counted = Counter(names)
    numbers: Counter[str] = Counter()
    for index, name in enumerate(names):
        numbers[name] += 1
        if counted[name] > 1:
            names[index] = f"{name} (variant {numbers[name]})"
    return names
