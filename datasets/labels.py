"""Meaning of the labels: class names of the known layouts, and their groupings.

The groupings are data. A view of the labels is one of ``VIEWS``:

========  ==================================================================================
native    the labels as the file has them
4way      E, S0, Sp, Irr
3way      E, S0, Sp
hubble    E, S0, Sp, Irr by Hubble T type; only for a file that has ``t_type``
========  ==================================================================================

Of a file with T types, ``4way`` and ``3way`` are made from those; of any other they are made from
the ten classes of Galaxy10 SDSS, which a file must be known to have: by its hash, by the names of
its classes, or by a label map of the user's.
"""

import re
from dataclasses import dataclass
from typing import get_args

import numpy as np

from results.vocabulary import Labels, unknown
from results.words import count

VIEWS = get_args(Labels)

# Leung & Bovy 2019, as listed with the data set (astroNN, docs/source/galaxy10sdss.rst).
GALAXY10 = (
    "Disk, Face-on, No Spiral",
    "Smooth, Completely round",
    "Smooth, in-between round",
    "Smooth, Cigar shaped",
    "Disk, Edge-on, Rounded Bulge",
    "Disk, Edge-on, Boxy Bulge",
    "Disk, Edge-on, No Bulge",
    "Disk, Face-on, Tight Spiral",
    "Disk, Face-on, Medium Spiral",
    "Disk, Face-on, Loose Spiral",
)
# The data set's own README; astroNN's lookup names class 3 otherwise, wrongly.
GALAXY10_DECALS = (
    "Disturbed",
    "Merging",
    "Round Smooth",
    "In-between Round Smooth",
    "Cigar Shaped Smooth",
    "Barred Spiral",
    "Unbarred Tight Spiral",
    "Unbarred Loose Spiral",
    "Edge-on without Bulge",
    "Edge-on with Bulge",
)

# PHYS449_FinalProject, KerasGalaxy10_gband.ipynb: for each group the Galaxy10 classes in it.
# The three-way view counts the discs without arms as spirals; the four-way view calls them Irr.
GALAXY10_GROUPS: dict[str, dict[str, tuple[int, ...]]] = {
    "4way": {"E": (1, 2, 3), "S0": (4, 5, 6), "Sp": (7, 8, 9), "Irr": (0,)},
    "3way": {"E": (1, 2, 3), "S0": (4, 5, 6), "Sp": (0, 7, 8, 9)},
}

# Cavanagh, Bekki & Groves 2021 (MNRAS 506, 659) on the catalogue of Nair & Abraham 2010, as
# coded in PHYS449_FinalProject, Data/data_prep.py: every T type not listed is "Irr", which the
# three-way view leaves out. Written for Nair & Abraham's T types: in EFIGI it sends the compact
# (-6), cD (-4) and dwarf (11) ellipticals to "Irr" as well.
HUBBLE_GROUPS: dict[str, tuple[int, ...]] = {
    "E": (-5,),
    "S0": (-3, -2, -1, 0),
    "Sp": (1, 2, 3, 4, 5, 6, 7, 8, 9),
}
GALAXY10_MAP = "galaxy10"  # the label map that says: these are Galaxy10 SDSS' classes
_IRREGULAR = 10  # the T type of Magellanic irregulars


@dataclass(frozen=True)
class LabelView:
    """Labels seen through one of ``VIEWS``.

    labels: int64 (kept,), 0..len(class_names)-1. rows: int64 (kept,), the rows of the file that
    they belong to, ascending: all of them, except where a view leaves a class out. note: a
    sentence on what the grouping does to these labels that its rule does not mention, or "".
    by_t_type: made of T types, not of the labels.
    """

    labels: np.ndarray
    class_names: tuple[str, ...]
    rows: np.ndarray
    note: str = ""
    by_t_type: bool = False


def view_labels(
    labels: np.ndarray,
    view: str,
    *,
    class_names: tuple[str, ...],
    t_type: np.ndarray | None = None,
    label_map: str = "",
    where: str = "this data set",
) -> LabelView:
    """Regroup native labels (integers (n,)) as ``view`` asks; ``t_type`` is integers (n,).

    ``label_map`` is as `datasets.catalog.load` takes it, ``where`` names the file in messages.
    Raises ValueError for an unknown view, and for one that these labels cannot give.
    """
    labels = np.asarray(labels, dtype=np.int64)
    everything = np.arange(len(labels), dtype=np.int64)
    if view not in VIEWS:
        raise ValueError(f"labels: {unknown('view', view, VIEWS)}")
    if label_map and view not in GALAXY10_GROUPS:
        raise ValueError(f"label_map: makes the groups of labels 4way and 3way, not of '{view}'")
    if view == "native":
        return LabelView(labels, tuple(class_names), everything)
    if label_map:
        grouped = _mapped(labels, view, label_map, class_names, where)
        return LabelView(grouped, tuple(GALAXY10_GROUPS[view]), everything)
    if t_type is not None:
        return _hubble_view(np.asarray(t_type), drop_irregular=view == "3way")
    if view == "hubble":
        raise ValueError(
            f"{where}: labels 'hubble' need a dataset 't_type' (Hubble T type of each image), "
            "which it does not have; use labels 'native', or '4way' for Galaxy10's ten classes"
        )
    if tuple(map(_folded, class_names)) != tuple(map(_folded, GALAXY10)):
        remedy = ", or a file with Hubble types in 't_type'"
        if tuple(class_names) == GALAXY10_DECALS:
            found = "Galaxy10 DECaLS"
        elif len(class_names) != len(GALAXY10):
            found = f"a file of {count(len(class_names), 'class')}"
        else:
            found = f"not known to be it (its classes are {', '.join(class_names[:3])}, ...)"
            remedy += "; if they are its classes in its order, add --label-map galaxy10"
        raise ValueError(
            f"{where}: labels {view!r} group the ten classes of Galaxy10 SDSS, and this is "
            f"{found}; use labels 'native', --label-map 'E=1,2 S0=3 Sp=4,5 Irr=0' with the classes "
            f"of each group{remedy}"
        )
    return LabelView(
        _grouped(labels, GALAXY10_GROUPS[view]), tuple(GALAXY10_GROUPS[view]), everything
    )


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace(",", " ").split())


def _grouped(labels: np.ndarray, groups: dict[str, tuple[int, ...]]) -> np.ndarray:
    group_of_class = np.full(max(map(max, groups.values())) + 1, -1, dtype=np.int64)
    for group, members in enumerate(groups.values()):
        group_of_class[list(members)] = group
    return group_of_class[labels]


def _mapped(
    labels: np.ndarray, view: str, label_map: str, class_names: tuple[str, ...], where: str
) -> np.ndarray:
    """The labels in the groups of a user's map."""
    wanted = tuple(GALAXY10_GROUPS[view])
    if label_map == GALAXY10_MAP:
        if len(class_names) != len(GALAXY10):
            raise ValueError(
                f"{where}: label_map '{GALAXY10_MAP}': it has {count(len(class_names), 'class')}, "
                "not ten"
            )
        return _grouped(labels, GALAXY10_GROUPS[view])
    groups: dict[str, tuple[int, ...]] = {}
    for part in label_map.split():
        name, _, numbers = part.partition("=")
        if (
            name not in wanted
            or name in groups
            or not re.fullmatch(r"[0-9]{1,4}(,[0-9]{1,4})*", numbers)
        ):
            irregular = " Irr=0" * ("Irr" in wanted)
            raise ValueError(
                f"label_map: '{part}' is not GROUP=CLASS,CLASS with one of {', '.join(wanted)}, "
                f"each once; write for example 'E=1,2,3 S0=4,5,6 Sp=7,8,9{irregular}'"
            )
        groups[name] = tuple(map(int, numbers.split(",")))
    classes = [number for members in groups.values() for number in members]
    if sorted(classes) != list(range(len(class_names))) or set(groups) != set(wanted):
        raise ValueError(
            f"{where}: label_map '{label_map}': each of the classes 0..{len(class_names) - 1} must "
            f"be in one of the groups {', '.join(wanted)}, and each group must have one"
        )
    return _grouped(labels, {name: groups[name] for name in wanted})


def _hubble_view(t_type: np.ndarray, *, drop_irregular: bool) -> LabelView:
    names = (*HUBBLE_GROUPS, "Irr")
    grouped = np.full(len(t_type), names.index("Irr"), dtype=np.int64)
    for group, types in enumerate(HUBBLE_GROUPS.values()):
        grouped[np.isin(t_type, types)] = group
    note = _note(t_type[grouped == names.index("Irr")], drop_irregular)
    if not drop_irregular:
        return LabelView(grouped, names, np.arange(len(t_type), dtype=np.int64), note, True)
    rows = np.flatnonzero(grouped < len(HUBBLE_GROUPS)).astype(np.int64)
    return LabelView(grouped[rows], names[:-1], rows, note, True)


def _note(irregular: np.ndarray, dropped: bool) -> str:
    """Sentence on T types besides the irregulars' own that count as Irr; "" if there are none."""
    others, counts = np.unique(irregular[irregular != _IRREGULAR], return_counts=True)
    if not len(others):
        return ""
    types = ", ".join(f"{t} ({n:,})" for t, n in zip(others, counts, strict=True))
    rest = ", and are left out" if dropped else ""
    return f"By the published rule galaxies of T type {types} count as Irr, like type 10{rest}."
