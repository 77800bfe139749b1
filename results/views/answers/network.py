"""Do the frameworks train the same network, and to what bound is that shown?"""

from __future__ import annotations

from math import isfinite

import pandas as pd

from results.schema import NETWORK_CHECK
from results.views.answers.answer import Answer
from results.views.columns import json_object
from results.views.numbers import listed
from results.views.views import Frames, Panel, View
from results.words import count

_QUESTION = "Same network?"
_FAILURES = "parity_failures"
_UNUSUAL = {"idiomatic": "tuned", "cpu": "cuda"}  # that a case's name says
_NOT_COMPUTING = ("python",)


def same_network(frames: Frames, view: View, panel: Panel) -> Answer | None:
    """Answer from the parity check of the runs, else from the ladder, else "not checked". None with
    one framework that has no check."""
    names = [view.looks[name].name for name in panel.frameworks]
    if panel.refusal:
        return Answer(_QUESTION, "no", f"No: {panel.refusal}.", "same")
    if panel.parity == "native":
        augments = [json_object(recipe).get("augment") or {} for recipe in panel.ok["recipe"]]
        drew = any(augment.get("by") == "framework" for augment in augments)
        told = (
            "Not by design: under native parity each framework has its own initial weights, masks"
            f"{', augmented pictures' if drew else ''} and defaults."
        )
        return Answer(_QUESTION, "by design not", told, "same")
    checked = {name: _checked(panel.of(name)) for name in panel.frameworks}
    failed = [view.looks[name].name for name, passed in checked.items() if passed is False]
    if failed:
        why = _failures(panel.ok)
        told = f"No: {listed(failed)} did not pass the parity check{f' ({why})' if why else ''}."
        return Answer(_QUESTION, "no", told, "same")
    if all(checked.values()):
        told = f"Yes: {listed(names)} {_computes(names)} what the float64 reference computes"
        return Answer(_QUESTION, "yes", f"{told}{_bound(panel.ok)}.", "same")
    if (found := _by_the_ladder(frames.findings, view, panel)) is not None:
        return found
    if len(names) < 2:
        return None
    network = str(panel.ok["architecture"].iloc[0])
    frameworks = " ".join(panel.frameworks)
    told = (
        "Not checked: weights, batches and masks were the same (by their hashes), but what the "
        "frameworks computed with them was not compared. To compare it: python -m "
        f"benchmarks.fidelity --frameworks {frameworks} --architectures {network}"
    )
    return Answer(_QUESTION, "not checked", told, "same")


def _computes(names: list[str]) -> str:
    return "computes" if len(names) == 1 else "compute"


def _checked(runs: pd.DataFrame) -> bool | None:
    """True if every run's configuration passed a check before the first run, False if one failed.

    None if a run was not checked.
    """
    found = set(runs["parity_checked"].astype(object))
    found |= {one.get("passed") for one in _networks(runs)}
    if False in found:
        return False
    in_float64 = len(_networks(runs)) == len(runs) and len(runs) > 0
    return True if in_float64 or found == {True} else None


def _failures(runs: pd.DataFrame) -> str:
    """The first of what did not hold, in words."""
    found = [words for extra in _extras(runs) for words in extra.get(_FAILURES) or ()]
    found += [words for one in _networks(runs) for words in one.get("failures") or ()]
    return str(found[0]) if found else ""


def _bound(runs: pd.DataFrame) -> str:
    """The proof in words: rungs, precision, the error nearest to its bound. Empty for runs stored
    before it was kept."""
    shares = [one for one in _networks(runs) if isfinite(one.get("share", float("nan")))]
    if not shares:
        return ""
    nearest = max(shares, key=lambda one: one["share"])
    rungs = listed([str(rung) for rung in nearest["rungs"]])
    return (
        f" ({rungs}, {nearest['precision']}: the error nearest to its bound is "
        f"{nearest['value']:.0e} of {nearest['bound']:.0e} allowed)"
    )


def _networks(runs: pd.DataFrame) -> list[dict]:
    """Results of the check in float64, of each run that has one."""
    return [one for extra in _extras(runs) if isinstance(one := extra.get(NETWORK_CHECK), dict)]


def _extras(runs: pd.DataFrame) -> list[dict]:
    return [json_object(value) for value in runs["extra"]] if "extra" in runs else []


def _by_the_ladder(findings: pd.DataFrame, view: View, panel: Panel) -> Answer | None:
    """Answer of the last climb of this network that ran all frameworks, as the panel's runs do.

    If no single climb did, the findings of all climbs count. None if these lack a framework
    or ran no rung.
    """
    if findings.empty:
        return None
    mine = _alike(findings, panel)
    if set(mine["framework"]) != set(panel.frameworks):
        return None
    last = mine[mine["climb_id"] == mine.sort_values("started_at")["climb_id"].iloc[-1]]
    if set(last["framework"]) == set(panel.frameworks):
        mine = last
    names = [view.looks[name].name for name in panel.frameworks]
    failed = mine[mine["status"] == "failed"]
    ran = mine[mine["status"] != "not run"]
    if ran.empty:
        return None
    rungs = f"{ran['rung'].min()} to {ran['rung'].max()}, {listed(sorted(set(ran['precision'])))}"
    passed = int((ran["status"] == "passed").sum())
    if not failed.empty:
        first = failed.iloc[0]
        who = listed(sorted({view.looks[name].name for name in failed["framework"]}))
        told = (
            f"No, by the fidelity ladder: {who} failed {len(failed)} of "
            f"{count(len(ran), 'check')}; the first is {first['rung']} {first['metric']}, "
            f"{first['value']:.1e} at {first['where']} where {first['bound']:.0e} is allowed."
        )
        return Answer(_QUESTION, "no", told, "fidelity")
    whole = passed == len(mine)
    told = (
        f"{'Yes' if whole else 'Not shown'}, by the fidelity ladder: {listed(names)} passed "
        f"{passed} of {count(len(mine), 'check')} ({rungs})"
    )
    if not whole:
        told += f"; {len(mine) - passed} could not be made"
    shares = (ran["value"] / ran["bound"]).where(ran["bound"] > 0).dropna()
    if len(shares):
        told += f"; the error nearest to its bound is {shares.max():.2g} of it"
    return Answer(_QUESTION, "yes" if whole else "not shown", f"{told}.", "fidelity")


def _alike(findings: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Findings on the panel's network and frameworks, in its tuning, on its device, in its
    precision or float64, and with its versions."""
    run = panel.ok.iloc[0]
    marks = findings["case"].str.split("-")
    here = (
        (findings["architecture"] == run["architecture"])
        & findings["framework"].isin(panel.frameworks)
        & findings["precision"].isin(["float64", run["precision"]])
    )
    for usual, found in (("idiomatic", run["tuning"]), ("cpu", run["device"])):
        other = _UNUSUAL[usual]
        here &= marks.map(lambda words, other=other: other in words) == (found == other)
    installed = [json_object(text) for text in panel.ok.get("versions", ())]
    climbed = {text: json_object(text) for text in findings["versions"].unique()}
    fits = {
        text: all(
            told.get(name, version) == version
            for one in installed
            for name, version in one.items()
            if name not in _NOT_COMPUTING
        )
        for text, told in climbed.items()
    }
    return findings[here & findings["versions"].map(fits).astype(bool)]
