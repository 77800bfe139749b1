"""The tables of a prepared measurement on a GPU, made from its files alone: what was measured,
which goals it meets, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from results.door.refusal import FileError
from results.studies import gpu_files
from results.studies.gpu_files import DONE, Measurement
from results.words import count

REFERENCE = "numpy"
MET, NOT_MET, NOT_MEASURED = "met", "not met", "not measured"
# Of the goals: share of the roofline in bfloat16 from this batch on, an epoch over its steps, tuned
# over the best loop by hand, PyTorch over Keras on PyTorch.
ROOFLINE, FROM_BATCH, EPOCH, BEST, KERAS = 0.5, 512, 1.05, 1.0, 1.2


@dataclass(frozen=True)
class GpuTable:
    """A table of texts; empty where nothing of it was measured."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(folder: Path) -> list[GpuTable]:
    """Every table that has a row, the goals and what is missing last.

    Raises:
        FileError: the folder holds no prepared measurement, or a file of it is damaged.
    """
    measurement = gpu_files.read(folder)
    try:
        speeds = list(_speeds(folder))
        made = [
            _limits(folder),
            _ladder(folder, "parity", "Parity with the float64 reference: comparisons that hold"),
            _speed_table(speeds),
            _runs(folder),
            _ladder(folder, "exact", "R5a, float64, step by step: comparisons that hold"),
            _outcome(folder),
            _goals(speeds),
            _missing(measurement),
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(
            f"{folder}: not the files of one measurement ({type(error).__name__}: {error}); "
            "run python -m benchmarks.gpu again with another --output"
        ) from error
    return [table for table in made if table.rows]


def lead(folder: Path) -> str:
    """Processor, versions, commits and finished steps of a measurement, in a sentence or two."""
    found = gpu_files.read(folder)
    done = sum(step.status == DONE for step in found.steps)
    where = found.gpu or str(found.machine.get("cpu") or "an unknown processor")
    names = ("torch", "jax", "flax", "keras")
    versions = ", ".join(f"{one} {found.versions[one]}" for one in names if one in found.versions)
    commits = {step.commit[:12] for step in found.steps if step.commit}
    told = f"{where}; {versions}; commit {', '.join(sorted(commits)) or 'unknown'}. "
    told += f"{done} of {count(len(found.steps), 'step')} are done."
    if found.rehearsal:
        told = f"A REHEARSAL on a CPU with tiny sizes: no figure says anything. {told}"
    return told


def markdown(folder: Path) -> str:
    """The tables as Markdown, with a heading each."""
    import pandas as pd

    from results.export import markdown as rows_as_markdown

    parts = [lead(folder) + "\n"]
    for table in tables(folder):
        frame = pd.DataFrame([list(row) for row in table.rows], columns=list(table.header))
        parts.append(f"**{table.title}**\n\n{rows_as_markdown(frame)}")
    return "\n".join(parts)


# ---- limits, ladder


def _limits(folder: Path) -> GpuTable:
    rows = []
    for answer in gpu_files.answers(folder, "limits").values():
        for what, rates in answer["best"].items():
            unit = "GB/s copied" if what == "copy" else "TFLOP/s"
            scale = 1e9 if what == "copy" else 1e12
            for library, rate in rates.items():
                rows.append([what, library, f"{rate / scale:,.2f}", unit])
    return GpuTable("Limits", ["what", "library", "best", "unit"], rows)


def _ladder(folder: Path, name: str, title: str) -> GpuTable:
    """A row for each network, framework and precision: held of asked, and what is nearest."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for step, answer in gpu_files.answers(folder, name).items():
        network = step.partition(" ")[2]
        for one in answer["findings"]:
            if one["against"] == REFERENCE:
                found.setdefault((network, one["framework"], one["precision"]), []).append(one)
    rows = []
    for (network, framework, precision), findings in found.items():
        failed = [one for one in findings if one["status"] != "passed"]
        told = "; ".join(dict.fromkeys(f"{one['rung']} {one['metric']}" for one in failed))
        held = f"{len(findings) - len(failed)} of {len(findings)}"
        rows.append([network, framework, precision, held, told or "none"])
    return GpuTable(title, ["network", "framework", "precision", "hold", "do not hold"], rows)


# ---- the yardstick


@dataclass(frozen=True)
class Speed:
    """Yardstick result for one framework, network, precision and batch size.

    Attributes:
        rates: images per second by contestant.
        ratios: by quantity, the median with its range as text.
    """

    network: str
    framework: str
    precision: str
    batch: int
    processes: int
    rates: dict[str, float]
    ratios: dict[str, tuple[float, str]]


def _speeds(folder: Path) -> Iterator[Speed]:
    for answer in gpu_files.answers(folder, "yardstick").values():
        cells: dict[tuple[str, str, str, int], list[dict[str, Any]]] = {}
        for one in answer["contests"]:
            cells.setdefault(_cell(one["settings"]), []).append(one)
        for key, contests in cells.items():
            rates = {}
            for contestant in ("tuned", "best", "idiomatic"):
                seconds = [
                    median(one["seconds"][contestant])
                    for one in contests
                    if contestant in one["seconds"]
                ]
                if seconds:
                    images = contests[0]["settings"]["steps"] * key[3]
                    rates[contestant] = images / median(seconds)
            ratios = {
                row["quantity"]: (row["median"], _interval(row))
                for row in answer["ratios"]
                if _cell(row) == key and row["median"] is not None
            }
            yield Speed(*key, len(contests), rates, ratios)


def _cell(row: dict[str, Any]) -> tuple[str, str, str, int]:
    return row["architecture"], row["framework"], row["precision"], row["batch_size"]


def _interval(row: dict[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return f"{row['median']:.2f}"
    return f"{row['median']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _speed_table(speeds: Sequence[Speed]) -> GpuTable:
    header = ["network", "precision", "batch", "framework", "n", "tuned, images/s", "best by hand"]
    header += ["idiomatic", "tuned / best", "idiomatic / tutorial", "epoch / steps", "roofline"]
    quantities = (
        *("tuned / best bare", "idiomatic / bare tutorial", "epoch / steps", "roofline share"),
    )
    rows = []
    for one in sorted(speeds, key=lambda one: (one.network, one.precision, one.batch)):
        row = [one.network, one.precision, str(one.batch), one.framework, str(one.processes)]
        for name in ("tuned", "best", "idiomatic"):
            row.append(f"{one.rates[name]:,.0f}" if name in one.rates else "")
        row += [one.ratios[name][1] if name in one.ratios else "" for name in quantities]
        rows.append(row)
    title = "Training speed; brackets are the range of the processes (n), or of one's blocks"
    return GpuTable(title, header, rows)


# ---- whole runs


def _runs(folder: Path) -> GpuTable:
    """Energy and memory, and what the deterministic flags cost."""
    import pandas as pd

    header = ["network", "framework", "precision", "batch", "deterministic", "status"]
    header += ["images/s", "images/J", "peak memory, GiB", "epoch / epoch without the flags"]
    path = folder / gpu_files.RUNS
    if not path.exists():
        return GpuTable("", header, [])
    table = pd.read_csv(path)
    rows, plain = [], {}
    for run in table[table["store"] == "runs"].to_dict("records"):
        flags = bool(json.loads(run["config"]).get("deterministic"))
        who = (run["architecture"], run["framework"], run["precision"], run["batch_size"])
        seconds = run.get("epoch_seconds_median", float("nan"))
        if not flags:
            plain[who] = seconds
        ratio = seconds / plain[who] if flags and who in plain else float("nan")
        rows.append(
            [
                *map(str, who),
                "yes" if flags else "no",
                str(run["status"]),
                _number(run.get("images_per_second"), ",.0f"),
                _number(run.get("images_per_joule"), ",.0f"),
                _number(run.get("peak_memory_bytes", float("nan")) / 2**30, ".2f"),
                _number(ratio, ".2f"),
            ]
        )
    return GpuTable("Whole runs: energy, memory, and the cost of --deterministic", header, rows)


def _number(value: Any, form: str) -> str:
    return "" if value is None or value != value else format(value, form)


def _outcome(folder: Path) -> GpuTable:
    rows = []
    for step, answer in gpu_files.answers(folder, "outcome").items():
        for one in answer:
            pair = f"{one['a']} less {one['b']}"
            interval = "" if "low" not in one else f"{one['low']:.4f} to {one['high']:.4f}"
            told = one.get("measure", ""), interval, str(one["seeds"]), one["verdict"]
            rows.append([step, pair, *told, one.get("reason", "")])
    header = ["rung", "pair", "measure", "90 % interval", "seeds", "verdict", "why not"]
    return GpuTable(
        "R6: did whole trainings come to the same?", header, [["R6", *row[1:]] for row in rows]
    )


# ---- goals, what is missing


def _goals(speeds: Sequence[Speed]) -> GpuTable:
    """Each goal for each cell that it is about; a goal without any is told as not measured."""
    rows = []
    large = [one for one in speeds if one.batch >= FROM_BATCH]
    half = [one for one in large if one.precision == "bfloat16"]
    asked = [
        (f"roofline share, bfloat16, batch {FROM_BATCH} or more", half, "roofline share", ROOFLINE),
        ("tuned / best by hand", speeds, "tuned / best bare", BEST),
    ]
    for goal, cells, quantity, least in asked:
        rows += _judged(f"{goal}: at least {least:g}", cells, quantity, lambda v, b=least: v >= b)
    rows += _judged(f"epoch / steps: at most {EPOCH:g}", speeds, "epoch / steps", _short)
    goal, found = f"PyTorch / Keras on PyTorch: at most {KERAS:g}", []
    by_cell = {(o.network, o.framework, o.precision, o.batch): o.rates["tuned"] for o in speeds}
    for (network, framework, precision, batch), rate in by_cell.items():
        other = by_cell.get((network, "torch", precision, batch))
        if framework == "keras@torch" and other:
            where = f"{network}, {precision}, batch {batch}"
            verdict = MET if other / rate <= KERAS else NOT_MET
            found.append([goal, where, f"{other / rate:.2f}", verdict])
    rows += found or [[goal, "", "", NOT_MEASURED]]
    return GpuTable("Goals", ["goal", "where", "measured", ""], rows)


def _short(value: float) -> bool:
    return value <= EPOCH


def _judged(goal: str, cells: Sequence[Speed], quantity: str, holds: Any) -> list[list[str]]:
    rows = []
    for one in cells:
        if quantity in one.ratios:
            value, text = one.ratios[quantity]
            where = f"{one.network}, {one.framework}, {one.precision}, batch {one.batch}"
            rows.append([goal, where, text, MET if holds(value) else NOT_MET])
    return rows or [[goal, "", "", NOT_MEASURED]]


def _missing(measurement: Measurement) -> GpuTable:
    rows = [
        [step.name, step.status, step.reason]
        for step in measurement.steps
        if step.status != DONE or step.reason
    ]
    rows += [[name, "left out", reason] for name, reason in measurement.missing.items()]
    return GpuTable("Not measured, or not whole", ["step", "", "why"], rows)
