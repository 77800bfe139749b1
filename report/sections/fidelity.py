"""Do the frameworks compute the same thing: the ladder's findings, error by rung."""

import json
import re
from typing import Any, get_args

import numpy as np
import pandas as pd

from report.chart import Chart, Panel, Series
from report.section import Block, Note, Picture, Section, Table
from results.views.looks import looks
from results.views.views import Frames
from results.vocabulary import Precision
from results.words import count, nouns

REFERENCE = "numpy"
BEYOND = "#b42318"  # the ring around what failed
_LEAD = (
    "Speeds and accuracies of two frameworks can be compared only when both train the same "
    "network. The ladder gives each framework the same small pieces of work, with the same "
    "numbers going in. It compares the results with a reference in double precision that was "
    "written by hand."
)
_READING = (
    "Each mark is a framework's error on one rung: the one that came nearest to its bound, as a "
    "share of the size of the result. Further left is more exact. A bar is a bound; the bounds of "
    "float64 and float32 were written down before anything was measured. Networks with batch norm "
    "have a bar of their own on some rungs. A red ring marks an error beyond its bound. An arrow "
    "at the right edge marks an infinite error, a value that is not a number, or an error where "
    "none was allowed. In float64 (about 16 digits) only rounding is left: marks near 1e-15 say "
    "that the same formula was computed. In float32 (about 7 digits) rounding itself is near "
    "1e-7."
)
_DIVERGENCE_READING = (
    "Training in float32 is chaotic: rounding puts one unit on the other side of zero, and from "
    "there two trainings drift apart. The grey band shows how far the frameworks drift from "
    "themselves when only rounding changes (weights moved in the last digits, other threads, on a "
    "GPU deterministic kernels, another layout in memory). A line of two colours is a pair of "
    "frameworks. A dashed line is a framework and its own training in double precision. The "
    "verdict is in the table. At chosen steps a line of two colours may not lie above twice the "
    "highest control of its own two frameworks, and a dashed line not above twice the highest of "
    "the other frameworks; a factor of two is less than one step of a difference that doubles. A "
    "third test is too small to be seen here: in runs from the same changed weights the first ten "
    "steps may not always differ in the same direction."
)
PRECISIONS = get_args(Precision)  # the most exact first
_RUNGS = {
    "R0": "inputs",
    "R1": "forward pass and loss",
    "R2": "gradients",
    "R3": "optimizer alone",
    "R4": "one whole step",
    "R5a": "training, float64",
    "R5d": "training as runs do it",
    "R5e": "several replicas and one",
    "R5b": "training, smooth network",
    "R5c": "training, beside its own noise",
}


def ladder(frames: Frames) -> Section | None:
    """Section on the ladder's latest findings in the store; None if there are none."""
    if frames.findings.empty:
        return None
    found = _latest(frames.findings)
    ran = found[found["status"] != "not run"]
    blocks: list[Block] = [Note(_verdict(found))]
    drawable = (ran["value"] > 0) & (ran["bound"] > 0) | (ran["status"] == "failed")
    measured = ran[drawable & (ran["against"] == REFERENCE)]
    if not measured.empty:
        blocks.append(
            Picture(
                "fidelity-ladder",
                "Error by rung",
                ladder_chart(measured),
                _caption(found),
                reading=_READING,
            )
        )
    blocks.append(_table(found))
    drawn = found.loc[found["rung"] == "R5c", ["case", "climb_id"]].drop_duplicates()
    curves = frames.divergence.merge(drawn) if not frames.divergence.empty else drawn.head(0)
    if not curves.empty:
        blocks.append(
            Picture(
                "fidelity-divergence",
                "When float32 trainings part",
                divergence_chart(curves),
                _divergence_caption(curves),
                reading=_DIVERGENCE_READING,
            )
        )
    failed = found[found["status"] != "passed"]
    for row in failed.head(20).itertuples():
        blocks.append(
            Note(
                f"{row.status}: {row.rung}, {row.case}, {row.framework} against {row.against}: "
                f"{row.metric} {row.value:.1e} where {row.bound:.0e} was allowed, at {row.where}. "
                f"{row.cause}",
                kind="warning",
            )
        )
    return Section("fidelity", "Do they compute the same thing?", _LEAD, blocks)


def _latest(findings: pd.DataFrame) -> pd.DataFrame:
    """Latest findings of each rung, case and pair: the ladder may be climbed in pieces.

    Only findings with the versions and machine of the latest climb count.
    """
    last = findings.sort_values("started_at").iloc[-1]
    alike = (findings["machine"] == last["machine"]) & (findings["versions"] == last["versions"])
    found = findings[alike]
    newest = found.groupby(["rung", "case", "framework", "against"])["started_at"].transform("max")
    return found[found["started_at"] == newest]


def _verdict(found: pd.DataFrame) -> str:
    passed = int((found["status"] == "passed").sum())
    missing = int((found["status"] == "not run").sum())
    sentence = f"{passed} of {count(len(found), 'comparison')} held."
    if missing:
        sentence += f" {missing} could not be run, which is not the same as passed."
    return sentence


def ladder_chart(against: pd.DataFrame) -> Chart:
    """Error by rung, a panel for each precision, against the reference only."""
    labels = sorted(set(zip(against["rung"], against["metric"], strict=True)))
    names = [f"{rung}  {metric}" for rung, metric in labels]
    drawn = looks(against["framework"])
    panels = []
    for precision in (one for one in PRECISIONS if one in set(against["precision"])):
        part = against[against["precision"] == precision]
        bounded = part[part["bound"] > 0].drop_duplicates(["bound", "rung", "metric"])
        series = [
            Series(
                "bound",
                bounded["bound"].tolist(),
                _places(bounded, labels),
                "points",
                marker="|",
                faint=True,
            )
        ]
        for position, (framework, look) in enumerate(drawn.items()):
            mine = part[part["framework"] == framework]
            if mine.empty:
                continue
            offset = (position - (len(drawn) - 1) / 2) * 0.13
            worst = mine.loc[shares(mine).groupby([mine["rung"], mine["metric"]]).idxmax()]
            series.append(_errors(look.name, worst, labels, offset, look.colour, look.marker))
            failed = worst[worst["status"] == "failed"]
            if len(failed):
                series.append(_errors("beyond its bound", failed, labels, offset, BEYOND, "ring"))
        panels.append(Panel(precision, "largest relative error", series, rows=names, log="x"))
    return Chart(panels, across=len(panels))


def _errors(
    name: str,
    found: pd.DataFrame,
    labels: list[tuple[str, str]],
    offset: float,
    colour: str,
    marker: str,
) -> Series:
    return Series(
        name,
        found["value"].where(found["bound"] > 0, np.inf).tolist(),  # no axis has a place for it
        [place + offset for place in _places(found, labels)],
        "points",
        colour=colour,
        marker=marker,
        text=[
            f"{value:.1e} where {bound:.0e} was allowed ({status})"
            for value, bound, status in zip(
                found["value"], found["bound"], found["status"], strict=True
            )
        ],
    )


def _places(found: pd.DataFrame, labels: list[tuple[str, str]]) -> list[int]:
    return [labels.index(key) for key in zip(found["rung"], found["metric"], strict=True)]


def divergence_chart(curves: pd.DataFrame) -> Chart:
    """Relative loss difference by step: pairs of frameworks over the band of the controls."""
    cases = dict(zip(curves["case"], curves["architecture"], strict=True))
    networks = list(cases.values())
    panels = []
    for case, network in cases.items():
        part = curves[curves["case"] == case]
        exact = (part["kind"] == "control") & (part["label"] == "float64")
        control = (part["kind"] == "control") & ~exact
        running = so_far(np.stack(part.loc[control, "difference"].tolist()))
        series = [
            Series(
                "each from itself",
                list(range(1, running.shape[1] + 1)),
                np.median(running, axis=0).tolist(),
                low=running.min(0).tolist(),
                high=running.max(0).tolist(),
                why="lowest to highest control",
            )
        ]
        for row in part[(part["kind"] == "cross") | exact].to_dict("records"):
            own = row["kind"] != "cross"
            both = looks([row["framework"], *([] if own else [row["label"]])])
            name = both[row["framework"]].name
            other = "from its own float64" if own else f"and {both[row['label']].name}"
            series.append(
                Series(
                    f"{name} {other}",
                    list(range(1, len(row["difference"]) + 1)),
                    so_far(row["difference"]).tolist(),
                    colour=both[row["framework"]].colour,
                    second="" if own else both[row["label"]].colour,
                    dashed=own,
                )
            )
        title = network if networks.count(network) == 1 else titled(case, network)
        panels.append(Panel(title, "training step", series, "largest loss difference", log="y"))
    return Chart(panels, across=4)


def shares(found: pd.DataFrame) -> pd.Series:
    """Error over bound; infinite where it is not a number, or where none was allowed."""
    shares = found["value"] / found["bound"]
    return shares.mask(shares.isna() | (found["bound"] <= 0), np.inf)


def so_far(differences: Any) -> np.ndarray:
    """The largest up to each step, along the last axis; float32's resolution at least, to be drawn
    on a log scale."""
    largest = np.maximum.accumulate(np.asarray(differences, np.float64), axis=-1)
    return np.maximum(largest, np.finfo(np.float32).eps / 2)


def titled(case: str, network: str) -> str:
    """The network and its head; the classes come before the precision in a case's name."""
    classes = re.search(r"-(\d+)-(?:b?float|tf)", case)
    return f"{network}, {count(int(classes[1]), 'class')}" if classes else case


def _divergence_caption(curves: pd.DataFrame) -> str:
    controls = curves[(curves["kind"] == "control") & (curves["label"] != "float64")]
    number = int(controls.groupby(["case", "framework"]).size().min())
    found = {part for case in curves["case"] for part in case.split("-")}
    precisions = ", ".join(one for one in PRECISIONS if one in found)
    return (
        f"Relative difference of the training loss, the largest so far, {precisions}. "
        f"Band: lowest to highest of {count(number, 'control')} in each framework; grey line: "
        "their median."
    )


def _caption(found: pd.DataFrame) -> str:
    machine = json.loads(found["machine"].iloc[0])
    networks = ", ".join(sorted(found["architecture"].unique()))
    on_gpu = found["case"].str.endswith("-cuda")
    gpus = [gpu["name"] for gpu in machine.get("gpus") or []][:1] if on_gpu.any() else []
    where = [*([] if on_gpu.all() else [machine.get("cpu", "")]), *gpus]
    return (
        f"Largest error on each rung over {count(found['case'].nunique(), 'case')} "
        f"({networks}). {', '.join(where)}. {_commands(found)}"
    )


def _commands(found: pd.DataFrame) -> str:
    commands = list(dict.fromkeys(found.sort_values("started_at")["command"]))
    return f"{nouns(len(commands), 'Command')}: {'; '.join(commands)}"


def _table(found: pd.DataFrame) -> Table:
    """A row per rung and framework: how many held, and the largest error against its bound."""
    rows = []
    for key, group in found.groupby(["rung", "framework"], sort=True):
        rung, framework = map(str, key)
        ran = group[group["status"] != "not run"]
        shares = (ran["value"] / ran["bound"].where(ran["bound"] > 0)).mask(
            (ran["status"] == "failed") & ~(np.isfinite(ran["value"]) & (ran["bound"] > 0)), np.inf
        )
        nearest = shares.max()
        passed = int((group["status"] == "passed").sum())
        verdict = "holds" if passed == len(group) else "not run" if ran.empty else "fails"
        share = "exact" if pd.isna(nearest) and not ran.empty else f"{nearest:.2g}"
        rows.append(
            [
                f"{rung} {_RUNGS.get(rung, '')}",
                looks([framework])[framework].name,
                f"{passed} / {len(group)}",
                share,
                verdict,
            ]
        )
    return Table(
        ["rung", "framework", "held", "largest error / bound", "verdict"],
        rows,
        "llrrl",
        "Each framework against the reference and against the frameworks after it in the list.",
        grouped=True,
    )
