"""The published figures beside ours: a table for each experiment, a verdict for each figure."""

from __future__ import annotations

import pandas as pd

from report.section import Block, Heading, Note, Section, Table
from report.sections.published import Trial, trials
from results.stats.vocabulary import NOT_COMPARABLE, REPRODUCED
from results.studies.kinds import WIDEST_LOSS, WIDEST_RECALL, WIDEST_SHARE, kind_of
from results.studies.measured import measured, refused
from results.studies.reported import Reported
from results.studies.reproduction import (
    Reproduction,
    compare,
    mean_over_seeds,
)
from results.views.numbers import NONE, fixed, listed, with_interval
from results.views.views import Frames

_LEAD = (
    "What notebooks and papers reported of these trainings, and what came out here. A reported "
    "figure is one run of unknown seed and split. It is called reproduced when it lies where one "
    "more run of ours would be expected 19 times in 20. That interval (square brackets of the "
    "column “another run”) counts the spread between our seeds, and the luck of their test "
    f"galaxies and of ours. When it reaches further than {100 * WIDEST_SHARE:g} points of accuracy "
    f"either way ({100 * WIDEST_RECALL:g} of one class's recall, {WIDEST_LOSS:g} nats of a loss, a "
    "quarter of the epochs), any figure would lie in it, so there is no verdict. Higher and lower "
    "say on which side of the reported figure ours is, for a loss too. Fewer than three seeds "
    "have no verdict. Copies of a galaxy count as one."
)
_NAMES = {
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
    "train_accuracy": "training accuracy",
    "train_loss": "training loss",
    "validation_accuracy": "validation accuracy",
    "validation_loss": "validation loss",
    "best_validation_accuracy": "best validation accuracy",
    "best_validation_epoch": "epoch of it",
    "lowest_validation_loss": "lowest validation loss",
    "lowest_validation_loss_epoch": "epoch of lowest validation loss",
    "parameters": "parameters",
    "epoch_seconds": "seconds of an epoch",
}
_ACCURACY = Reported(metric="test_accuracy", value=0.0)
_DECIMALS = {
    "parameters": 0,
    "epoch_seconds": 1,
    "best_validation_epoch": 1,
    "lowest_validation_loss_epoch": 1,
}


def published(frames: Frames) -> Section | None:
    """A table for each experiment that has runs; None where no run is of an experiment."""
    section = Section("reproduction", "Did the published figures come out again?", _LEAD)
    found = trials(frames)
    traps: dict[str, str] = {}
    unreported = []
    for trial in found:
        if not trial.frameworks:
            continue
        traps |= trial.declared.traps
        if not trial.declared.reported:
            unreported.append(trial)
            continue
        section.blocks.append(Heading(_title(trial, found)))
        section.blocks.extend(_warnings(trial))
        section.blocks.append(comparison_table(trial, frames))
    if unreported:
        section.blocks.append(unreported_table(unreported, frames))
    if traps:
        section.blocks.append(
            Table(
                ["trap", "what it is"],
                [[_words(key), text] for key, text in traps.items()],
                "ll",
                caption="What is known to mislead about these figures, or to explain a difference.",
            )
        )
    return section if section.blocks else None


def comparison_table(trial: Trial, frames: Frames) -> Table:
    """A row for each reported figure and framework."""
    declared = trial.declared
    epochs, predictions = _of(trial.runs, frames.epochs), _of(trial.runs, frames.predictions)
    rows = []
    for reported in declared.reported:
        theirs = declared.sizes.behind(reported.metric) if declared.sizes else None
        for framework in trial.frameworks:
            runs = trial.of(framework)
            ours = measured(reported, runs, epochs, predictions, declared)
            result = compare(reported, ours, theirs)
            rows.append(
                [
                    figure_name(reported, trial.runs),
                    _number(reported.value, reported),
                    frames.looks[framework].name,
                    str(len(ours.values)),
                    with_interval(result.mean, _decimals(reported)),
                    _signed(result.difference, reported),
                    _expected(result, reported),
                    _verdict(result, reported, common_refusals(trial)),
                ]
            )
    sources = "; ".join(dict.fromkeys(one.source for one in declared.reported))
    trained_in = listed(list(dict.fromkeys(one.framework for one in declared.reported)))
    within = f" (trained in {trained_in})" if trained_in else ""
    notes = [
        f"{figure_name(one, trial.runs)} {_number(one.value, one)}: {one.note}"
        for one in declared.reported
        if one.note
    ]
    noted = f" Of the reported figures: {'; '.join(notes)}." if notes else ""
    return Table(
        [
            "figure",
            "reported",
            "framework",
            "seeds",
            "ours, mean [95 %]",
            "difference",
            "another run [95 %]",
            "verdict",
        ],
        rows,
        "lrlrrrrl",
        caption=f"{declared.title}. Reported in: {sources}{within}. Ours: {trial.data}; the mean "
        f"over seeds with Student's interval.{noted}",
        grouped=True,
    )


def unreported_table(found: list[Trial], frames: Frames) -> Table:
    """Results of experiments without a published figure."""
    rows = []
    for trial in found:
        for framework in trial.frameworks:
            runs = trial.of(framework)
            ok = runs[runs["status"] == "ok"]
            values = ok.groupby("seed")["test_accuracy"].mean().dropna().tolist()
            rows.append(
                [
                    _title(trial, found),
                    frames.looks[framework].name,
                    str(len(values)),
                    with_interval(mean_over_seeds(values, kind_of(_ACCURACY)), 4),
                    ", ".join(map(_words, trial.declared.traps)),
                ]
            )
    return Table(
        ["experiment", "framework", "seeds", "test accuracy, mean [95 %]", "see"],
        rows,
        "llrrl",
        caption="Experiments of which nothing was reported on these galaxies: what came out, to be "
        "set beside the experiment that each is a variant of.",
        grouped=True,
    )


def figure_name(reported: Reported, runs: pd.DataFrame) -> str:
    """The figure in words, as in "recall of Irr" or "validation loss, epoch 75"."""
    if reported.metric == "recall":
        names = runs["class_names"].iloc[0]
        label = reported.label or 0
        known = isinstance(names, tuple | list) and label < len(names)
        return f"recall of {names[label] if known else f'class {label}'}"
    at = f", epoch {reported.epoch}" if reported.epoch is not None else ""
    return _NAMES[reported.metric] + at


def _title(trial: Trial, found: list[Trial]) -> str:
    """The experiment, with its split where it was run on several, and what was different."""
    named = [other for other in found if other.declared.name == trial.declared.name]
    several = len({other.split_seed for other in named}) > 1
    split = f", split seed {trial.split_seed}" if several else ""
    marks = f" — {trial.marks}" if trial.marks else ""
    return f"{trial.declared.name}{split}{marks}"


def common_refusals(trial: Trial) -> tuple[str, ...]:
    """Why no run of the trial is what was published, whatever its framework."""
    found = [refused(trial.of(framework), trial.declared) for framework in trial.frameworks]
    return tuple(one for one in found[0] if all(one in other for other in found))


def _warnings(trial: Trial) -> list[Block]:
    reasons = common_refusals(trial)
    if not reasons:
        return []
    return [
        Note(
            f"{trial.declared.name} was not run as it was published ({'; '.join(reasons)}): the "
            "numbers stand side by side, and nothing follows from their difference.",
            "warning",
        )
    ]


def _verdict(result: Reproduction, reported: Reported, common: tuple[str, ...]) -> str:
    """The verdict with its own reason first; what holds for the whole table is said once above."""
    if result.verdict == REPRODUCED:
        return result.verdict
    if result.verdict == NOT_COMPARABLE:
        reasons = result.reason.split("; ")
        own = [reason for reason in reasons if reason not in common]
        above = len(reasons) - len(own)
        if not own:
            own, above = reasons[:1], above - 1
        words = f"{result.verdict}: {'; '.join(own)}"
        words += f" (and {above} more, above)" if above else ""
    else:
        words = result.verdict
    of_training = reported.metric not in ("parameters", "epoch_seconds")
    told = of_training and (result.verdict != NOT_COMPARABLE or not reported.comparable)
    explained = reported.traps if told else ()
    return f"{words}; see {', '.join(map(_words, explained))}" if explained else words


def _of(runs: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return rows if rows.empty else rows[rows["execution_id"].isin(runs["execution_id"])]


def _expected(result: Reproduction, reported: Reported) -> str:
    if pd.isna(result.predicted.low):
        return NONE
    decimals = _decimals(reported)
    return f"[{fixed(result.predicted.low, decimals)}, {fixed(result.predicted.high, decimals)}]"


def _number(value: float, reported: Reported) -> str:
    return fixed(value, _decimals(reported))


def _signed(value: float, reported: Reported) -> str:
    if pd.isna(value):
        return NONE
    text = fixed(value, _decimals(reported))
    return text if value < 0 else f"+{text}"


def _decimals(reported: Reported) -> int:
    return _DECIMALS.get(reported.metric, 4)


def _words(key: str) -> str:
    return key.replace("_", " ")
