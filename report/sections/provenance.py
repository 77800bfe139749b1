"""Was it one experiment, and what was run on what."""

import pandas as pd

from report.cautions import version_sets
from report.section import Heading, Note, Section, Table
from results.given import GIVEN, Check
from results.views.columns import json_object
from results.views.naming import extras
from results.views.numbers import NONE, fixed, listed
from results.views.views import Frames, Panel, View
from results.words import count

_IN_WORDS = {
    "equal": "equal",
    "different": "DIFFERENT",
    "by design": "differ by design",
    "none": "not recorded",
    "alone": "one framework only",
}


def same_experiment(frames: Frames) -> Section | None:
    """Section on equal inputs: split, order, weights and masks; None without a finished view."""
    section = Section(
        "same",
        "Was it the same experiment?",
        "Each run writes down a fingerprint (a hash) of which galaxies it was trained and tested "
        "on, in what order they came, the weights it began with and the dropout masks it used. "
        "Two runs with the same fingerprint were given the same, to the last bit. Where they "
        "differ between frameworks, the comparison is refused.",
    )
    for view in frames.finished_views:
        section.blocks.append(Heading(view.title))
        for panel in view.panels:
            section.blocks.append(verdict(panel))
        section.blocks.append(checks_table(view))
    return section if section.blocks else None


def verdict(panel: Panel) -> Note:
    """One sentence: the same, refused, or nothing to compare."""
    if panel.refusal:
        return Note(f"{panel.name}: {panel.refusal}.", "warning")
    if len(panel.frameworks) < 2:
        return Note(f"{panel.name}: one framework only, so there is nothing to compare.")
    equal = [check for check in panel.checks if check.verdict == "equal"]
    what = listed(list(dict.fromkeys(check.what for check in equal)))
    missing = list(dict.fromkeys(c.what for c in panel.checks if c.verdict == "none"))
    seeds = count(len({check.seed for check in equal}), "seed")
    text = f"{panel.name}: {what} are equal in every framework that finished, for {seeds}."
    if any(check.verdict == "by design" for check in panel.checks):
        own = [given.what for given in GIVEN if given.matched]
        text += (
            f" Under native parity {listed(own)} are each framework's own, so "
            "accuracies may differ by more than rounding."
        )
    elif missing:
        text += f" No run recorded {listed(missing)}."
    return Note(text)


def checks_table(view: View) -> Table:
    """A row for each network and seed: the fingerprint where it is equal, all where it is not."""
    checked = {check.what for panel in view.panels for check in panel.checks}
    what = [given.what for given in GIVEN if given.what in checked]
    rows = []
    for panel in view.panels:
        for key in dict.fromkeys((check.seed, check.repeat) for check in panel.checks):
            cells = {c.what: c for c in panel.checks if (c.seed, c.repeat) == key}
            rows.append(
                [
                    panel.name,
                    f"{key[0]} (repeat {key[1]})" if key[1] else str(key[0]),
                    str(len(next(iter(cells.values())).recorded)),
                    *(_check_words(cells[name]) if name in cells else NONE for name in what),
                ]
            )
    return Table(
        ["network", "seed", "frameworks", *what],
        rows,
        "lrr" + "l" * len(what),
        caption=f"{view.title}: what each seed's runs were given, compared between frameworks.",
        grouped=True,
    )


def _check_words(check: Check) -> str:
    words = _IN_WORDS[check.verdict]
    recorded = list(check.recorded.items())
    if check.verdict in ("equal", "alone"):
        return f"{words}: {recorded[0][1][:12]}"
    if check.verdict == "different":
        return f"{words}: " + ", ".join(f"{name} {value[:12]}" for name, value in recorded)
    return words


def provenance(frames: Frames) -> Section | None:
    """Data, machine, versions, commit: what it takes to run it again."""
    if frames.runs.empty:
        return None
    section = Section(
        "provenance",
        "What was run on what",
        "Enough to run it again, and to see why another machine or version gave other figures.",
    )
    for view in frames.views:
        section.blocks.append(Heading(view.title))
        section.blocks.append(_settings_table(view))
        counts = _class_counts(view)
        if counts is not None:
            section.blocks.append(counts)
        section.blocks.append(_versions_table(view))
    return section


def _settings_table(view: View) -> Table:
    run = view.first
    machine = json_object(run["machine"])
    rows = [
        ["data", view.data],
        ["SHA-256 of the data", str(run["dataset_sha256"])],
        ["images (train / validation / test)", _sizes(view)],
        ["parity, tuning, precision", view.settings],
        ["epochs, batch size, optimizer, rate", _recipes(view)],
        ["besides", _besides(view)],
        ["seeds", ", ".join(str(seed) for seed in sorted(view.runs["seed"].dropna().unique()))],
        ["machine", view.machine],
        ["machine fingerprint", str(run["machine_id"])],
        *([f"machine: {key.replace('_', ' ')}", _words(machine[key])] for key in sorted(machine)),
        ["first and last start", f"{_time(view.runs, 'min')} to {_time(view.runs, 'max')}"],
        ["commit", _commits(view)],
        ["self-checked runs", _self_checked(view)],
    ]
    return Table(["", ""], [row for row in rows if row[1] not in ("", "nan", "None")], "ll")


def _class_counts(view: View) -> Table | None:
    counts, names = view.first["class_counts"], view.first["class_names"]
    if not counts or not names or len(counts) != len(names):
        return None
    total = sum(counts)
    return Table(
        ["class", "name", "images", "share"],
        [
            [str(label), name, fixed(number, 0), f"{100 * number / total:.1f} %"]
            for label, (name, number) in enumerate(zip(names, counts, strict=True))
        ],
        "llrr",
        caption=f"{count(total, 'galaxy')} by class, in the whole data set.",
    )


def _versions_table(view: View) -> Table:
    columns = {}
    for framework in dict.fromkeys(view.runs["framework"]):
        name = view.looks[framework].name
        found = version_sets(view.runs[view.runs["framework"] == framework]) or [{}]
        for number, versions in enumerate(found, start=1):
            columns[f"{name} (set {number})" if len(found) > 1 else name] = versions
    packages = sorted({package for versions in columns.values() for package in versions})
    return Table(
        ["package", *columns],
        [
            [package, *(_words(versions.get(package, "")) for versions in columns.values())]
            for package in packages
        ],
        "l" * (1 + len(columns)),
        caption="Versions, as each framework's process found them; a set for each combination "
        "that its runs were made with, the earliest first.",
    )


def _sizes(view: View) -> str:
    columns = ["train_images", "validation_images", "test_images"]
    sizes = view.runs[columns].dropna().drop_duplicates()
    return "; ".join(" / ".join(fixed(int(n), 0) for n in row) for row in sizes.to_numpy())


def _recipes(view: View) -> str:
    return "; ".join(
        f"{panel.name}: {run['epochs']}, {run['batch_size']}, {run['optimizer']}, "
        f"{run['learning_rate']:g}"
        for panel in view.panels
        for _, run in panel.runs.head(1).iterrows()
    )


def _besides(view: View) -> str:
    """Class weights and callbacks, by panel."""
    found = {panel.name: ", ".join(extras(panel.settings)) for panel in view.panels}
    return "; ".join(f"{name}: {words}" for name, words in found.items() if words)


def _commits(view: View) -> str:
    found = view.runs[["commit", "dirty"]].drop_duplicates().dropna(subset=["commit"])
    return ", ".join(
        f"{commit[:12]}{' with local changes' if dirty is not pd.NA and dirty else ''}"
        for commit, dirty in found.to_numpy()
    )


def _self_checked(view: View) -> str:
    """Number of runs that checked their own predictions and weights; empty if none did."""
    checked = view.runs["self_checked"].fillna(False).sum()
    return f"{checked} of {len(view.runs)}" if checked else ""


def _time(runs: pd.DataFrame, which: str) -> str:
    started = runs["started_at"].dropna()
    return "" if started.empty else f"{getattr(started, which)():%Y-%m-%d %H:%M} UTC"


def _words(value: object) -> str:
    """A value of JSON as plain words: lists with commas, mappings as "name value"."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value) or "none"
    return str(value)
