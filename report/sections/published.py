"""Runs of published experiments, gathered so that nothing unlike is pooled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from results.studies.reported import Declared, declared
from results.task import Settings, as_text
from results.views.looks import ordered
from results.views.views import Frames, of_view

_FILE = "data.dataset"  # what it is called; its hash says which galaxies they are
# In what experiments of one figure may differ: how the galaxies are grouped and looked at.
_GROUPING = (
    *(_FILE, "data.labels", "data.label_key", "data.classes"),
    *("data.channels", "data.image_channels"),
)


@dataclass(frozen=True)
class Trial:
    """An experiment as it was run here: one task on one machine, at one scale.

    Attributes:
        task: what was run.
        runs: every execution, of all frameworks, whatever its status.
        declared: the experiment, as the last of these runs has it.
    """

    task: Settings
    runs: pd.DataFrame
    declared: Declared

    @property
    def frameworks(self) -> list[str]:
        """Frameworks with a finished run, in the order used everywhere."""
        return ordered(self.runs.loc[self.runs["status"] == "ok", "framework"])

    def of(self, framework: str) -> pd.DataFrame:
        """The runs of one framework, finished or not."""
        return self.runs[self.runs["framework"] == framework]

    @property
    def condition(self) -> tuple[str, ...]:
        """Key that must be equal for two experiments to stand in one figure."""
        return (*_where(self.runs.iloc[0]), as_text(of_view(self.task), _GROUPING), self.split_seed)

    @property
    def split_seed(self) -> str:
        """Seed of the split that all these runs have; empty if the rows do not say."""
        return str(self.task.get("split.seed", ""))

    @property
    def foreign(self) -> tuple[str, ...]:
        """Differences from the published one, in capitals; empty when there are none."""
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
        """Differences from the experiment in one line, with the parity where it is another.

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
    without_name = {one: as_text(task, (_FILE,)) for one, task in frames.tasks.items()}
    keys = [
        "\0".join(
            (run["experiment"], *_where(run), without_name[run["task_id"]], _changed(run["extra"]))
        )
        for _, run in runs.iterrows()
    ]
    found = []
    for _, alike in runs.groupby(pd.Series(keys, index=runs.index, dtype=object), sort=True):
        for group in _by_split(alike):
            latest = group.sort_values("started_at", kind="stable")
            known = [one for extra in latest["extra"] if (one := declared(extra)) is not None]
            if known:
                found.append(Trial(frames.tasks[group["task_id"].iloc[0]], group, known[-1]))
    return found


def _by_split(runs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The runs of each split, which another version may have made otherwise; one that ended before
    it told its split goes by the last that did."""
    hashes = runs["split_hash"].astype(object)
    told = hashes.dropna()
    for _, group in runs.groupby(hashes.fillna(told.iloc[-1] if len(told) else ""), sort=True):
        yield group


def _changed(extra: object) -> str:
    known = declared(extra)
    return "" if known is None else repr(sorted(known.changed.items()))


def _where(run: pd.Series) -> tuple[str, str]:
    return str(run["machine_id"]), str(run["scale"])
