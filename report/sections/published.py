"""Runs of published experiments, gathered so that nothing unlike is pooled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from results.studies.reported import Declared, declared
from results.views.looks import ordered
from results.views.views import VIEW_COLUMNS, Frames

# Runs that differ in any of these are not pooled; frameworks of one group stand side by side.
CONDITIONS = (*(name for name in VIEW_COLUMNS if name != "dataset"), "scale")


@dataclass(frozen=True)
class Trial:
    """An experiment as it was run here under one condition.

    Attributes:
        runs: every execution, of all frameworks, whatever its status.
        declared: the experiment, as the last of these runs has it.
    """

    runs: pd.DataFrame
    declared: Declared

    @property
    def frameworks(self) -> list[str]:
        """Those with a finished run, in the order used everywhere."""
        return ordered(self.runs.loc[self.runs["status"] == "ok", "framework"])

    def of(self, framework: str) -> pd.DataFrame:
        """The runs of one framework, finished or not."""
        return self.runs[self.runs["framework"] == framework]

    @property
    def condition(self) -> tuple[str, ...]:
        """What has to be equal for two experiments to stand in one figure."""
        first = self.runs.iloc[0]
        return (*_condition(first, ("labels", "channels")), self.split_seed)

    @property
    def split_seed(self) -> str:
        """Of the split that all of these runs have; empty where the rows do not say."""
        return _split_seed(self.runs.iloc[0])

    @property
    def foreign(self) -> tuple[str, ...]:
        """In capitals what makes it another thing than was published; empty when nothing does."""
        first = self.runs.iloc[0]
        found = []
        if first["dataset"] == "demo":
            found.append("DEMO DATA")
        elif self.declared.sha256 is not None and first["dataset_sha256"] != self.declared.sha256:
            found.append(f"OTHER GALAXIES ({first['dataset']})")
        if not pd.isna(first["scale"]) and first["scale"] != 1:
            found.append(f"SCALED x{first['scale']:g}")
        if self.declared.changed:
            found.append(f"OTHER {', '.join(self.declared.changed).replace('_', ' ').upper()}")
        if first["precision"] not in self.declared.precision:
            found.append(str(first["precision"]).upper())
        return tuple(found)

    @property
    def marks(self) -> str:
        """The same in one line, and the parity where it is not the experiment's.

        The framework's own defaults make it no other experiment, but another run of it.
        """
        parity = str(self.runs.iloc[0]["parity"])
        native = () if parity in self.declared.parity else (f"{parity.upper()} PARITY",)
        return ", ".join((*self.foreign, *native))

    @property
    def data(self) -> str:
        """Galaxies, labels and settings in words."""
        return f"{self.runs.iloc[0]['labels']} labels of {self.settings}"

    @property
    def settings(self) -> str:
        """Galaxies and settings in words, without how they are grouped."""
        first = self.runs.iloc[0]
        device = first["device"] if pd.isna(first["device_name"]) else first["device_name"]
        how = f"{first['parity']} parity, {first['tuning']} tuning, {first['precision']}"
        split = f"; split seed {self.split_seed}" if self.split_seed else ""
        return f"{first['dataset']}, {first['image_height']} pixels{split}; {how}; {device}"


def trials(frames: Frames) -> list[Trial]:
    """Every experiment in the store under every condition that it was run in, by name."""
    if frames.runs.empty:
        return []
    runs = frames.runs[frames.runs["experiment"].notna()]
    keys = pd.Series(["\0".join(_key(run)) for _, run in runs.iterrows()], index=runs.index)
    found = []
    for _, alike in runs.groupby(keys, sort=True):
        for group in _by_split(alike):
            latest = group.sort_values("started_at", kind="stable")
            known = [one for extra in latest["extra"] if (one := declared(extra)) is not None]
            if known:
                found.append(Trial(group, known[-1]))
    return found


def _by_split(runs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The runs of each split; one that ended before it told its split goes by its split seed."""
    seeds = pd.Series([_split_seed(run) for _, run in runs.iterrows()], index=runs.index)
    hashes = runs["split_hash"].astype(object)
    last = hashes.groupby(seeds).transform("last")  # nulls are passed over
    hashes = hashes.where(hashes.notna(), last)
    keys = hashes.where(hashes.notna(), "seed " + seeds)
    for _, group in runs.groupby(keys, sort=True):
        yield group


def _split_seed(run: pd.Series) -> str:
    config = run["config"]
    tree = json.loads(config) if isinstance(config, str) else {}
    split = tree.get("split") if isinstance(tree, dict) else None
    return str(split["seed"]) if isinstance(split, dict) and "seed" in split else ""


def _key(run: pd.Series) -> tuple[str, ...]:
    changed = declared(run["extra"])
    words = "" if changed is None else repr(sorted(changed.changed.items()))
    return (str(run["experiment"]), *_condition(run), words)


def _condition(run: pd.Series, but: Iterable[str] = ()) -> tuple[str, ...]:
    return tuple(str(run[name]) for name in CONDITIONS if name not in set(but))
