"""Training from Python, and the store with its tables and figures as a notebook shows them."""

import subprocess
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxy_benchmark import environment
from results import store as stored
from results.export import PAGE_COLUMNS
from results.output import say
from results.words import count
from results.writer import scratch_directory

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Store", "Trained", "train"]

_NAMED = ["framework", "architecture", "seed", "repeat"]  # what a curve is of
_INTERRUPTED = (130, 143)  # exit statuses of the command
_SHOWN = 20  # rows of a store in a notebook


class Store(stored.Store):
    """A results store with its tables as DataFrames and its figures; shows itself in a notebook.

    Tables and figures are of the latest execution of each run. Keywords choose runs by the columns
    of `runs` (`python -m results columns` lists them): `store.curves(framework="torch", seed=0)`.
    """

    def curves(self, **chosen: Any) -> "pd.DataFrame":
        """A row per run, epoch and split: loss, cross_entropy, accuracy, epoch_seconds.

        Raises:
            ValueError: an unknown column, or no such run.
        """
        runs = self._chosen(chosen)[["execution_id", *_NAMED]]
        return runs.merge(self.epochs(latest=True), on="execution_id").drop(columns="run_id")

    def compare(self) -> "pd.DataFrame":
        """A row per pair of cells that differ in the framework or the tuning alone.

        `ratio` is epoch seconds of the first over those of the second, with `low` and `high`; the
        verdict is empty where none may be given, and `reason` says why (`results.stats`).

        Raises:
            FileNotFoundError: the store has no runs.
        """
        import pandas as pd

        from results.views.cells import benches
        from results.views.views import Frames

        rows = [
            {
                "network": bench.name,
                "dataset": bench.view.first["dataset"],
                "framework": one.framework,
                "tuning": one.tuning,
                "other_framework": other.framework,
                "other_tuning": other.tuning,
                "precision": one.precision,
                "batch_size": one.batch_size,
                "processes": len(one.seconds.keys() & other.seconds.keys()),
                "ratio": found.ratio.value,
                "low": found.ratio.low,
                "high": found.ratio.high,
                "p": found.p,
                "verdict": found.verdict,
                "reason": found.reason,
            }
            for bench in benches(Frames.load(self))
            for one, other, found in bench.comparisons()
        ]
        return pd.DataFrame(rows)

    def confusion(self, **chosen: Any) -> "pd.DataFrame":
        """Test galaxies by true class (rows) and predicted class (columns), summed over the runs.

        Raises:
            ValueError: an unknown column, no such run, or runs with different classes.
        """
        import pandas as pd

        from report.sections.confusion import confusion

        runs = self._chosen(chosen)
        runs = runs[runs["status"] == "ok"]
        classes = runs["class_names"].drop_duplicates().tolist()
        if len(classes) != 1:
            raise ValueError(
                f"{count(len(runs), 'finished run')} with {len(classes)} sets of classes; choose "
                "runs of one, as in confusion(dataset='demo', labels='native')"
            )
        predictions = self.predictions(latest=True, probabilities=False)
        mine = predictions[predictions["execution_id"].isin(runs["execution_id"])]
        if len(mine) and (mine["predicted"] < 0).all():
            raise ValueError(
                "these runs give votes, which no class is read off; there is no confusion"
            )
        names = list(classes[0])
        return pd.DataFrame(
            confusion(mine, len(names)).counts,
            index=pd.Index(names, name="label"),
            columns=pd.Index(names, name="predicted"),
        )

    def figures(self, section: str) -> "dict[str, Figure]":
        """The figures of a part of the report, by name.

        A notebook draws a figure below its cell once `matplotlib.pyplot` is imported.

        Args:
            section: curves, confusion, speed, ...: a module of `report.sections`.

        Raises:
            ValueError: an unknown section.
            FileNotFoundError: the store has no runs.
        """
        from report import page
        from report.figures.drawing import draw
        from results.views.views import Frames

        makers = {make: make.__module__.rpartition(".")[2] for make in page.SECTIONS}
        if section not in makers.values():
            known = ", ".join(dict.fromkeys(makers.values()))
            raise ValueError(f"the report has no section '{section}'; known: {known}")
        frames = Frames.load(self)
        made = [make(frames) for make, name in makers.items() if name == section]
        return {one.name: draw(one) for one in page.pictures(filter(None, made))}

    def _chosen(self, chosen: Mapping[str, Any]) -> "pd.DataFrame":
        runs = self.runs(latest=True)
        for column, value in chosen.items():
            if column not in runs:
                raise ValueError(f"runs have no column '{column}'; see python -m results columns")
            runs = runs[runs[column] == value]
        if runs.empty:
            raise ValueError(f"no run with {dict(chosen)} in the results store {self.path}")
        return runs

    def _repr_html_(self) -> str:
        runs = self.runs(latest=True)
        shown = runs[list(PAGE_COLUMNS["runs"])].tail(_SHOWN)
        head = (
            f"<p>Results store {self.path}: {count(len(runs), 'run')}, the last {len(shown)}:</p>"
        )
        return head + shown.to_html(index=False, float_format="{:.4g}".format)


@dataclass(frozen=True, repr=False)
class Trained:
    """Result of `train`.

    Attributes:
        runs: a row per run, with the columns of `Store.runs`.
        epochs: curves, a row per run, epoch and split.
        store: that keeps them.
    """

    runs: "pd.DataFrame"
    epochs: "pd.DataFrame"
    store: Store

    @property
    def row(self) -> "pd.Series":
        """The one run.

        Raises:
            ValueError: there are several; read `runs`.
        """
        if len(self.runs) != 1:
            raise ValueError(f"there are {count(len(self.runs), 'run')}; read .runs")
        return self.runs.iloc[0]

    def __repr__(self) -> str:
        shown = ["run_id", *_NAMED, "status", "test_accuracy", "epoch_seconds_median"]
        return self.runs[shown].to_string(index=False)

    def _repr_html_(self) -> str:
        return self.runs[list(PAGE_COLUMNS["runs"])].to_html(index=False)


def train(
    framework: str | Iterable[str],
    architecture: str | Iterable[str] = "unam",
    dataset: str | None = None,
    *,
    store: str | Path = stored.DEFAULT_STORE,
    verbose: bool = True,
    **options: Any,
) -> Trained:
    """Train as `python -m benchmarks.run` does, in processes of their own.

    Args:
        framework: keras, torch, jax, ...; several give several runs.
        architecture: a shipped name or the path of a TOML file; or several.
        dataset: demo, galaxy10, galaxy10-decals or an HDF5 file; demo if not given.
        store: directory of the results.
        verbose: print what the command prints.
        options: the command's options with underscores: epochs=3, batch_size=32, tuning="tuned",
            seeds=[0, 1], resume=True, optimizer={"name": "sgd", "momentum": 0.9}.

    Returns:
        The runs with their curves. A run that failed is a row too: a warning is given, its
        `status` is not "ok", and its `reason` says why.

    Raises:
        ValueError: what the command says of bad input.
        KeyboardInterrupt: interrupted; what was finished is in the store.

    Example: `train("torch", epochs=3, demo_images=300).row["test_accuracy"]`
    """
    given = {"frameworks": framework, "architectures": architecture, "dataset": dataset}
    if twice := sorted(given.keys() & options.keys()):
        raise ValueError(f"{', '.join(twice)}: give framework and architecture, of one or several")
    given |= {"no_report": "report" not in options, "store": store} | options
    with scratch_directory() as scratch:
        ids, errors = scratch / "ids", scratch / "errors"
        status = _run([*_words(given), "--write-ids", str(ids)], errors, verbose)
        told = errors.read_text(encoding="utf-8", errors="replace").strip()
        if status in _INTERRUPTED:
            raise KeyboardInterrupt
        if not ids.exists():
            raise ValueError(told.removeprefix("error: ") or "nothing was run")
        executions = ids.read_text(encoding="utf-8").split()
    kept = Store(store)
    runs, epochs = (
        frame[frame["execution_id"].isin(executions)].reset_index(drop=True)
        for frame in (kept.runs(), kept.epochs())
    )
    if told:
        warnings.warn(told, stacklevel=2)
    return Trained(runs, epochs, kept)


def _words(options: Mapping[str, Any]) -> list[str]:
    """The options as words of the command line; what is None or False is not given."""
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            if value is not None and value is not False:
                words.append(f"{option}={_written(value)}")
        else:
            words += [option, *map(str, value)]
    return words


def _written(value: Any) -> str:
    """A mapping as the command reads it: `sgd,momentum=0.9`, `patience=4,restore_best=true`."""
    if not isinstance(value, Mapping):
        return str(value)
    fields = [f"{key}={str(part).lower()}" for key, part in value.items() if key != "name"]
    return ",".join([*filter(None, [value.get("name")]), *fields])


def _run(words: list[str], errors: Path, verbose: bool) -> int:
    """The command's exit status; what it says goes on, its errors go to a file."""
    with errors.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.run", *words],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches it once, from here
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if verbose:
                    say(line, end="", flush=True)
            return process.wait()
        except BaseException:
            process.terminate()  # it keeps what was finished, and ends its runs
            process.wait()
            raise
        finally:
            process.stdout.close()
