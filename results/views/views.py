"""Views and panels: runs grouped so that nothing unlike is pooled in one figure.

A panel holds runs of one task (`results.task`) on one machine, which differ in framework, seed and
repeat only. A view holds the panels that have in common all but network, recipe and split.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa

from results.given import Check, checks, refusal
from results.parquet import findings
from results.parquet.examples import Examples
from results.parquet.reading import LATEST_BY, latest_rows
from results.schema import USUAL
from results.store import Store
from results.task import OF_STORED, Settings, as_text, stored
from results.views.looks import Look, looks, ordered
from results.views.naming import OF_DATA, names_of, unusual
from results.words import count, mostly

# Parts of a task in which the panels of a view may differ.
_OF_PANELS = ("architecture", "recipe", "split", "deterministic", "feed", "warmup_epochs")
_VIEW_NAMED_BY = ["dataset", "parity", "tuning", "precision", "device"]
_MISSING = "?"  # stands for null in a group's key
HISTORY = (
    *("cell_id", "machine_id", "session_id", "started_at", "status", "control"),
    "epoch_seconds_median",
)
_GROUPED_BY = ("framework", "architecture", "dataset", "parity")


def refused(title: str, refusal: str) -> str:
    """A title that says whether what is below it must not be compared."""
    return f"{title} (comparison refused)" if refusal else title


@dataclass(frozen=True)
class Panel:
    """Runs of one task on one machine; `ok` are those that finished."""

    name: str
    runs: pd.DataFrame
    parity: str
    settings: Settings

    @cached_property
    def ok(self) -> pd.DataFrame:
        """The finished runs, one for each framework, seed and repeat."""
        return self.runs[self.runs["status"] == "ok"]

    @cached_property
    def frameworks(self) -> list[str]:
        """Frameworks with a finished run, in the order used everywhere."""
        return ordered(self.ok["framework"])

    @property
    def voted(self) -> bool:
        """True if the outputs are votes: then no class is named, rightly or wrongly."""
        return self.settings.get("recipe.loss.targets") == "votes"

    @cached_property
    def checks(self) -> list[Check]:
        """Checks that split, order, weights and masks were the same for all."""
        return checks(self.ok, self.parity)

    @cached_property
    def refusal(self) -> str:
        """Why the frameworks must not be compared; empty when they may."""
        return refusal(self.checks)

    def title(self, what: str) -> str:
        """Title of a drawing of these runs."""
        return refused(f"{self.name}: {what}", self.refusal)

    def of(self, framework: str) -> pd.DataFrame:
        """The finished runs of one framework, by seed and repeat; not to be changed."""
        found = self._by_framework.get(framework)
        return self.ok.iloc[:0] if found is None else found

    @cached_property
    def _by_framework(self) -> dict[str, pd.DataFrame]:
        rows = self.ok[["framework", "seed", "repeat"]].reset_index(drop=True)
        rows = rows.sort_values(["seed", "repeat"])
        places = rows.index.to_numpy()
        found = rows.groupby("framework").indices
        return {str(name): self.ok.iloc[places[mine]] for name, mine in found.items()}


@dataclass(frozen=True)
class View:
    """Runs that may stand in one figure."""

    runs: pd.DataFrame
    panels: tuple[Panel, ...]
    looks: dict[str, Look]
    slug: str
    title: str

    @property
    def first(self) -> pd.Series:
        """Any run, for what all have in common."""
        return self.runs.iloc[0]

    @property
    def demo(self) -> bool:
        """True if the galaxies are generated ones."""
        return bool(self.first["dataset"] == "demo")

    @property
    def finished(self) -> "View | None":
        """The view without panels of which no run finished; None if none is left."""
        panels = tuple(panel for panel in self.panels if not panel.ok.empty)
        if not panels:
            return None
        return View(self.runs, panels, self.looks, self.slug, self.title)

    @property
    def frameworks(self) -> list[str]:
        """Frameworks with a finished run."""
        return ordered(name for panel in self.panels for name in panel.frameworks)

    @property
    def seeds(self) -> int:
        """Number of seeds with a finished run."""
        return int(self.runs.loc[self.runs["status"] == "ok", "seed"].nunique())

    @property
    def data(self) -> str:
        """The data in words, as a caption needs it."""
        run = self.first
        name = "DEMO (generated galaxies)" if self.demo else str(run["dataset"])
        size = f"{run['image_height']}×{run['image_width']} pixels"
        channels = str(run["channels"])  # of a row that lacks it: nan
        channels = "channel " * channels.isdigit() + channels
        classes = "" if pd.isna(run["classes"]) else f" ({count(run['classes'], 'class')})"
        words = [name, f"{run['labels']} labels{classes}", channels, size]
        return ", ".join([*words, *unusual(self.panels[0].settings, OF_DATA)])

    @property
    def machine(self) -> str:
        """The machine in words."""
        run = self.first
        name = run["device"] if pd.isna(run["device_name"]) else run["device_name"]
        threads = "" if pd.isna(run["threads"]) else f", {count(int(run['threads']), 'thread')}"
        return f"{name}{threads}"

    @property
    def settings(self) -> str:
        """Parity, tuning and precision in words."""
        run = self.first
        tuning = "tuned" if run["tuning"] == "tuned" else f"{run['tuning']} tuning"
        return f"{run['parity']} parity, {tuning}, {run['precision']}"

    def sizes(self, only: Panel | None = None) -> str:
        """Number of runs behind each median, in words; of one panel or of all."""
        return "n = " + mostly(
            {
                f"{panel.name} {self.looks[name].name}": count(len(panel.of(name)), "run")
                for panel in self.panels
                if only is None or panel is only
                for name in panel.frameworks
            }
        )

    @property
    def footer(self) -> str:
        """Data, settings and machine in one line, for the foot of a figure."""
        return f"Data: {self.data}  ·  {self.settings}  ·  {self.machine}"


@dataclass(frozen=True)
class Frames:
    """Data of a report: the latest execution of every run, and the findings of the ladder.

    Attributes:
        controls: second runs of A/A pairs, which are in no view.
        history: `HISTORY` of every execution, also of those that a later one replaces.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    predictions: pd.DataFrame
    examples: list[Examples]
    findings: pd.DataFrame = field(default_factory=pd.DataFrame)
    divergence: pd.DataFrame = field(default_factory=pd.DataFrame)
    trainings: pd.DataFrame = field(default_factory=pd.DataFrame)
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def load(cls, store: Store) -> "Frames":
        """Read a store.

        Raises:
            FileNotFoundError: there is nothing to read.
        """
        read = store.latest_frames(HISTORY)
        runs = read.runs
        found, trainings = findings.read(store.path), findings.read_trainings(store.path)
        if runs.empty and found.empty and trainings.empty:
            raise FileNotFoundError(
                f"no runs in the results store {store.path}; run python -m benchmarks.run "
                "first, or name a store with --store"
            )
        runs, controls = _parted(_named(runs))
        return cls(
            runs,
            read.epochs,
            read.predictions,
            store.examples(),
            found,
            findings.read_curves(store.path),
            trainings,
            controls,
            read.history,
        )

    def only(self, run_ids: Collection[str]) -> "Frames":
        """The frames with these runs alone, as what one call of a command was about."""
        kept = [one[one["run_id"].isin(run_ids)] for one in (self.runs, self.controls)]
        return replace(self, runs=kept[0], controls=kept[1])

    @classmethod
    def of_runs(cls, runs: pd.DataFrame, found: pd.DataFrame | None = None) -> "Frames":
        """Frames of the executions that count (`latest`), without epochs and predictions.

        Args:
            runs: rows of `Store.runs`, of every execution where history is to be asked.
            found: what the ladder found (`findings.read`).
        """
        own, controls = _parted(_named(latest(runs)))
        climbed = pd.DataFrame() if found is None else found
        history = runs.reindex(columns=list(HISTORY))
        return cls(
            own, pd.DataFrame(), pd.DataFrame(), [], climbed, controls=controls, history=history
        )

    @cached_property
    def looks(self) -> dict[str, Look]:
        """Name, colour and marker of each framework of the store."""
        return looks(self.runs["framework"])

    @cached_property
    def tasks(self) -> dict[str, Settings]:
        """Settings of each task, by task_id."""
        distinct = self.runs[["task_id", *OF_STORED]].drop_duplicates("task_id")
        found: dict[str, dict[str, Any]] = {
            one: stored(*of) for one, *of in distinct.itertuples(index=False)
        }
        # a rate left open under native parity is each framework's own, and no part of the task
        rates = self.runs.groupby("task_id")["learning_rate"].nunique()
        for one in rates.index[rates > 1]:
            found[one].pop("recipe.optimizer.learning_rate", None)
        return {**found}

    @cached_property
    def views(self) -> list[View]:
        """Every view, the one with the most finished runs of real data first."""
        common = {one: of_view(settings) for one, settings in self.tasks.items()}
        texts = {one: as_text(settings) for one, settings in common.items()}
        runs = self.runs.assign(view=self.runs["task_id"].map(texts))
        groups = [one.drop(columns="view") for one in _grouped(runs, ["view", "machine_id"])]

        def order(group: pd.DataFrame) -> tuple[bool, int, int]:
            first = group.iloc[0]
            replicas = common[first["task_id"]].get("replicas", 1)
            return first["dataset"] == "demo", -(group["status"] == "ok").sum(), replicas

        groups.sort(key=order)
        firsts = [group.iloc[0] for group in groups]
        titles = names_of(
            [", ".join(map(str, first[_VIEW_NAMED_BY])) for first in firsts],
            [{**common[first["task_id"]], "machine_id": first["machine_id"]} for first in firsts],
        )
        slugs: list[str] = []
        for title in titles:
            slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
            slugs.append(slug if slug not in slugs else f"{slug}-{len(slugs) + 1}")
        return [
            View(group, tuple(_panels(group, self.tasks)), self.looks, slug, _marked(title))
            for group, slug, title in zip(groups, slugs, titles, strict=True)
        ]

    @cached_property
    def finished_views(self) -> list[View]:
        """The views with finished runs, of their panels those with finished runs."""
        return [view for one in self.views if (view := one.finished) is not None]


def latest(runs: pd.DataFrame) -> pd.DataFrame:
    """The execution that counts of each run on each machine, sorted by time.

    It is the last that ended ok, or the last if none did.
    """
    rows = latest_rows(pa.Table.from_pandas(runs[LATEST_BY], preserve_index=False))
    return runs.iloc[rows].sort_values("started_at", kind="stable")


def _named(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with a name in the columns that everything is grouped by."""
    fill: dict[str, float | str] = dict.fromkeys(_GROUPED_BY, _MISSING)
    fill |= USUAL
    return runs.assign(**{name: runs[name].fillna(value) for name, value in fill.items()})


def _parted(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs, and apart from them the second runs of A/A pairs."""
    if "control" not in runs:
        return runs, runs.iloc[:0]
    again = runs["control"].fillna(False).astype(bool)
    return runs[~again], runs[again]


def _marked(title: str) -> str:
    """A view's title with demo data in capitals."""
    return f"DEMO data{title[4:]}" if title.startswith("demo,") else title


def of_view(settings: Settings) -> dict[str, Any]:
    """Settings that the panels of a view have in common."""
    return {
        name: value for name, value in settings.items() if name.partition(".")[0] not in _OF_PANELS
    }


def _panels(runs: pd.DataFrame, tasks: Mapping[str, Settings]) -> Iterable[Panel]:
    # the same run may be of two experiments, scaled down
    groups = [_latest_cells(group) for group in _grouped(runs, ["experiment", "task_id"])]

    def order(group: pd.DataFrame) -> tuple:
        settings = tasks[group["task_id"].iloc[0]]
        numbers = (settings.get(f"recipe.{name}", 0) for name in ("epochs", "batch_size"))
        return (str(group["architecture"].iloc[0]), *numbers, as_text(settings))

    groups.sort(key=order)
    told = ["task_id", "experiment", "scale", "architecture"]
    firsts = [group[told].iloc[0] for group in groups]
    settings = [tasks[first["task_id"]] for first in firsts]
    own = [{name: one[name] for name in one.keys() - of_view(one).keys()} for one in settings]
    for words, first in zip(own, firsts, strict=True):
        words["part_of"] = _part_of(first["experiment"], first["scale"])
    names = names_of([str(first["architecture"]) for first in firsts], own)
    for name, group, one in zip(names, groups, settings, strict=True):
        yield Panel(name, group, str(group["parity"].iloc[0]), one)


def _part_of(experiment: Any, scale: Any) -> str | None:
    """The experiment that a run is of, with how far it is scaled; None when it is of none."""
    if pd.isna(experiment):
        return None
    return str(experiment) if pd.isna(scale) or scale == 1 else f"{experiment} SCALED x{scale:g}"


def _grouped(runs: pd.DataFrame, columns: Iterable[str]) -> Iterable[pd.DataFrame]:
    """Groups of equal values, null among them, in the order of the values."""
    keys = [runs[name].astype(object).where(runs[name].notna(), _MISSING) for name in columns]
    for _, group in runs.groupby([key.astype(str) for key in keys], sort=True):
        yield group


def _latest_cells(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of each framework's latest cell: an older definition is not mixed in."""
    told = runs[["framework", "cell_id", "started_at"]].sort_values("started_at")
    last = told.groupby("framework")["cell_id"].last()
    kept = runs["cell_id"].isna() | (runs["cell_id"] == runs["framework"].map(last))
    return runs if kept.all() else runs[kept]
