"""`--compare RUN_A RUN_B`: where two stored runs part, and in which fields they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from results.given import AUGMENTATION, GIVEN
from results.vocabulary import nearest
from results.words import count

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from results.store import Store

THRESHOLDS = (1e-6, 1e-3, 1e-2)  # of |a / b - 1|
HASHES = {given.column: given.what for given in GIVEN if given.column.endswith("_hash")}
HASHES |= {"dataset_sha256": "data set"}
_MEASURED_ON = ("machine_id", "device_name", "commit")


@dataclass(frozen=True)
class FieldDifference:
    """A field whose values differ; None where a run does not have it."""

    field: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Parting:
    """First epochs in which the losses of one split differ by more than each threshold.

    first: the epoch by threshold, None: never. largest: the largest relative difference. epochs:
    the number of epochs compared.
    """

    split: str
    first: Mapping[float, int | None]
    largest: float
    epochs: int


@dataclass(frozen=True)
class Predictions:
    """The test images that both runs predicted, and how they fared.

    only_a, only_b: classified rightly by that run alone. churn: share predicted differently.
    p_value: of McNemar's exact test that the two are right equally often (two-sided binomial test
    of only_a among only_a + only_b; McNemar 1947, Psychometrika 12, 153).
    """

    images: int
    accuracy_a: float
    accuracy_b: float
    only_a: int
    only_b: int
    churn: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Two executions beside each other.

    a, b: rows of the store. fields: of the configuration; surroundings: of versions and machine.
    hashes: equal, unequal, or None where a run has none. predictions: None where the runs have no
    test image in common: that of another data set is another, though its number be the same.
    """

    a: pd.Series
    b: pd.Series
    fields: tuple[FieldDifference, ...]
    surroundings: tuple[FieldDifference, ...]
    hashes: Mapping[str, bool | None]
    partings: tuple[Parting, ...]
    predictions: Predictions | None


def compare(store: Store, run_a: str, run_b: str) -> Comparison:
    """Compare two runs of a store.

    Args:
        run_a, run_b: a run_id, of which the latest execution is taken, or an execution_id; its
            first letters are enough.

    Raises:
        FileNotFoundError: the store has no runs.
        ValueError: no run or several have such an id; the message names the near miss.
    """
    runs = store.runs()
    if runs.empty:
        raise FileNotFoundError(
            f"the results store {store.path} has no runs; run python -m benchmarks.run first, "
            "or name a store with --store"
        )
    a, b = _find(runs, run_a, store), _find(runs, run_b, store)
    epochs = store.epochs()
    predictions = store.predictions(probabilities=False)
    ids = (a["execution_id"], b["execution_id"])
    given = [name for name in HASHES if name != AUGMENTATION or _plain(a[name]) or _plain(b[name])]
    hashes = {name: _equal(a[name], b[name]) for name in given}
    same_images = hashes["dataset_sha256"] is not False
    return Comparison(
        a,
        b,
        tuple(_unequal(_flat(_parsed(a, "config")), _flat(_parsed(b, "config")))),
        tuple(_unequal(_surroundings(a), _surroundings(b))),
        hashes,
        tuple(_partings(*(epochs[epochs["execution_id"] == each] for each in ids))),
        _predictions(*(predictions[predictions["execution_id"] == each] for each in ids))
        if same_images
        else None,
    )


def _find(runs: pd.DataFrame, identifier: str, store: Store) -> pd.Series:
    exact = runs[(runs["run_id"] == identifier) | (runs["execution_id"] == identifier)]
    of_run = runs["run_id"].str.startswith(identifier)
    started = runs[of_run | runs["execution_id"].str.startswith(identifier)]
    found = started if exact.empty else exact
    if len(set(found["run_id"])) == 1:
        return found.iloc[-1]
    if found.empty:
        known = [*runs["run_id"], *runs["execution_id"]]
        starts = {known_id[: len(identifier)]: known_id for known_id in reversed(known)}
        near = nearest(identifier, starts)
        hint = f" (did you mean '{starts[near]}'?)" if near else ""
        raise ValueError(
            f"no run '{identifier}' in {store.path}{hint}. "
            f"See: python -m results show --store {store.path}"
        )
    several = ", ".join(dict.fromkeys(found["run_id"]))
    raise ValueError(f"several runs in {store.path} start with '{identifier}': {several}.")


def _parsed(run: pd.Series, column: str) -> Any:
    value = run[column]
    return json.loads(value) if isinstance(value, str) else {}


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables as `part.field: value`; layers go by their names."""
    if isinstance(tree, dict):
        parts = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list) and tree and isinstance(tree[0], dict):
        parts = [(str(part.get("name", index + 1)), part) for index, part in enumerate(tree)]
    else:
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in parts:
        flat |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return flat


def _surroundings(run: pd.Series) -> dict[str, Any]:
    versions = {f"versions.{name}": value for name, value in _parsed(run, "versions").items()}
    return {**{name: _plain(run[name]) for name in _MEASURED_ON}, **versions}


def _plain(value: Any) -> Any:
    import pandas as pd

    return None if pd.isna(value) else value


def _unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[FieldDifference]:
    for field in dict.fromkeys([*a, *b]):
        if a.get(field) != b.get(field):
            yield FieldDifference(field, a.get(field), b.get(field))


def _equal(a: Any, b: Any) -> bool | None:
    a, b = _plain(a), _plain(b)
    return None if a is None or b is None else bool(a == b)


def _partings(a: pd.DataFrame, b: pd.DataFrame) -> Iterator[Parting]:
    """The parting of each split, in the order of their names.

    Epochs that both runs have are compared, but for those in which neither loss is a number.
    """
    both = a.merge(b, on=["split", "epoch"], suffixes=("_a", "_b")).sort_values("epoch")
    both = both.dropna(subset=["loss_a", "loss_b"], how="all")
    for split, rows in both.groupby("split"):
        found = [
            (int(epoch), _relative(one, other))
            for epoch, one, other in zip(rows["epoch"], rows["loss_a"], rows["loss_b"], strict=True)
        ]
        first = {
            threshold: next((epoch for epoch, error in found if error > threshold), None)
            for threshold in THRESHOLDS
        }
        yield Parting(str(split), first, max(error for _, error in found), len(found))


def _relative(a: float, b: float) -> float:
    """|a / b - 1|; infinite where only one is a number."""
    if a == b:
        return 0.0
    return abs(a / b - 1) if math.isfinite(a) and math.isfinite(b) and b else math.inf


def _predictions(a: pd.DataFrame, b: pd.DataFrame) -> Predictions | None:
    both = a.merge(b, on=["split", "index", "label"], suffixes=("_a", "_b"))
    if both.empty:
        return None
    right_a, right_b = both["predicted_a"] == both["label"], both["predicted_b"] == both["label"]
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return Predictions(
        images=len(both),
        accuracy_a=float(right_a.mean()),
        accuracy_b=float(right_b.mean()),
        only_a=only_a,
        only_b=only_b,
        churn=float((both["predicted_a"] != both["predicted_b"]).mean()),
        p_value=mcnemar(only_a, only_b),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """McNemar's exact test, two-sided: 1 when the two never differ."""
    if only_a + only_b == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue)


def render(comparison: Comparison, console: Console | None = None) -> None:
    """Print it as plain tables."""
    from results.terminal import Terminal

    console = console or Terminal(soft_wrap=True)
    a, b = comparison.a, comparison.b
    headers = ["", *(f"{run['framework']} {run['run_id'][:8]}" for run in (a, b))]
    names = ("architecture", "dataset", "seed", "parity", "precision", "status")
    shown = [[name, _word(_plain(a[name])), _word(_plain(b[name]))] for name in names]
    _print(console, headers, shown)

    _title(console, "Configuration", "the same in every field", comparison.fields)
    _print(console, ["field", "A", "B"], [_cells(each) for each in comparison.fields])
    _title(console, "Versions and machine", "the same", comparison.surroundings)
    _print(console, ["field", "A", "B"], [_cells(each) for each in comparison.surroundings])

    words = {True: "equal", False: "DIFFERENT", None: "not known of both"}
    _title(console, "What they were given", "", comparison.hashes)
    _print(console, ["", ""], [[HASHES[h], words[e]] for h, e in comparison.hashes.items()])

    _title(console, "Where the loss parts", "no epoch in common", comparison.partings)
    header = ["split", *(f"first epoch beyond {t:g}" for t in THRESHOLDS), "largest", "epochs"]
    rows = [
        [
            part.split,
            *("never" if e is None else str(e) for e in part.first.values()),
            f"{part.largest:.1e}",
            str(part.epochs),
        ]
        for part in comparison.partings
    ]
    _print(console, header, rows)

    found = comparison.predictions
    _title(console, "Test predictions", "no test image in common", [found] if found else [])
    if found:
        difference = 100 * (found.accuracy_a - found.accuracy_b)
        console.print(
            f"  accuracy {found.accuracy_a:.4f} against {found.accuracy_b:.4f} on "
            f"{count(found.images, 'image')}: {difference:+.2f} points\n"
            f"  right in A alone {found.only_a}, in B alone {found.only_b}: McNemar's exact test "
            f"p = {found.p_value:.2g}\n"
            f"  predicted differently: {100 * found.churn:.2f} % of the images",
            highlight=False,
        )


def _title(console: Console, title: str, nothing: str, found: Sequence[Any] | Mapping) -> None:
    console.print(f"\n{title}" if found else f"\n{title}: {nothing}", highlight=False)


def _print(console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=None, pad_edge=True, show_header=any(headers), header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _cells(difference: FieldDifference) -> list[str]:
    return [difference.field, _word(difference.a), _word(difference.b)]


def _word(value: Any) -> str:
    return "-" if value is None else str(value)
