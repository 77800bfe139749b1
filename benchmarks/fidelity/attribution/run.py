"""`--native FROM TO`: train every variant, keep the scores, print what each default is worth."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from benchmarks.fidelity import console
from benchmarks.fidelity.attribution import variants
from benchmarks.fidelity.measure.collect import Traces, collect, finished
from benchmarks.process.device import resolve
from benchmarks.process.interpreters import check_here
from benchmarks.system import machine
from datasets import catalog
from frameworks.spec.architecture import Architecture, load
from frameworks.spec.recipe import OPTIMIZERS, Optimizer, Recipe
from results import table
from results.output import say
from results.parquet import findings as kept
from results.stats.means import Mean
from results.studies.attribution import Attribution, attribute, sentences
from results.terminal import Terminal
from results.vocabulary import unknown
from results.words import count
from results.writer import scratch_directory


def run(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Status 0 when all was trained, 1 when something could not be.

    Raises:
        ValueError: an unknown name, a framework that is not installed, nothing to attribute.
        OSError: galaxies that cannot be read, a store that cannot be written.
    """
    origin, target = options.native
    inside = options.inside
    used = [name for name in (inside, origin, target) if name != variants.MATCHED]
    check_here(used)
    resolve(options.device, used, gpus=machine.gpus())
    names = options.optimizers or ["adam"]
    for name in names:
        if name not in OPTIMIZERS:
            raise ValueError(unknown("optimizer", name, OPTIMIZERS))
    data = catalog.load(options.pictures or "demo", image_size=options.size or None)
    status = 0
    with scratch_directory() as scratch:
        pictures = variants.prepare(data, scratch)
        for number, (name, optimizer) in enumerate(product(options.architectures, names)):
            recipe = Recipe(
                optimizer=msgspec.convert({"name": optimizer}, Optimizer),
                batch_size=options.batch_size,
                epochs=options.epochs,
            )
            started = datetime.now(UTC)
            folder = scratch / str(number)
            rows, interrupt = _train(load(name), recipe, options, pictures, folder)
            common = {
                "architecture": load(name).name,
                "optimizer": optimizer,
                "epochs": recipe.epochs,
                "batch_size": recipe.batch_size,
                "dataset": data.name,
                "image_height": pictures.input_shape[0],
                "train_images": pictures.train_images,
                "test_images": pictures.test_images,
                "origin": origin,
                "target": target,
                "inside": inside,
                "machine": json.dumps(machine.describe()),
                "versions": json.dumps(machine.versions()),
                "command": " ".join(command),
            }
            if rows:
                trained = [row | common for row in rows]
                kept.append_trainings(options.store, trained, started_at=started)
            if interrupt:
                say(f"{count(len(rows), 'training')} of {load(name).name} are kept", error=True)
                raise interrupt
            frame = pd.DataFrame(rows)
            show(attribute(frame), origin, target, inside)
            status |= int((frame["status"] != "ok").any())
    return status


def _train(
    architecture: Architecture,
    recipe: Recipe,
    options: argparse.Namespace,
    pictures: variants.Pictures,
    directory: Path,
) -> tuple[list[dict[str, Any]], KeyboardInterrupt | None]:
    """Every variant and seed, in as many processes of a framework as are asked for; a row each.
    Interrupted, it gives the rows of those that were finished, and the interrupt."""
    origin, target = options.native
    sets = list(variants.variants(architecture, recipe, origin, target, options.inside))
    made = variants.cases(
        architecture,
        recipe,
        sets,
        pictures,
        seeds=range(options.seeds),
        threads=options.threads,
        device=options.device,
    )
    optimizer = recipe.optimizer.__struct_config__.tag
    say(f"{architecture.name}, {optimizer}: {count(len(made), 'training')}", flush=True)
    traces: Traces = {}
    how = {"timeout": options.timeout, "parallel": options.parallel, "tell": console.tell}
    for where in dict.fromkeys(variant.framework for variant in sets):
        mine = [case for variant, case in made if variant.framework == where]
        try:
            traces |= collect([where], mine, directory, **how)
        except KeyboardInterrupt as interrupt:
            traces |= finished(where, mine, directory)
            done = [(one, case) for one, case in made if (one.framework, case.name) in traces]
            return variants.rows(done, traces, pictures.labels), interrupt
    rows = variants.rows(made, traces, pictures.labels)
    lacking = variants.not_switched(architecture, recipe, origin, target, options.inside)
    return [*rows, *(_not_run(*one, options.inside) for one in lacking.items())], None


def _not_run(factor: str, able: Sequence[str], inside: str) -> dict[str, Any]:
    """The row of a default that one framework cannot be given."""
    remedy = f" (--inside {' or '.join(able)} switches it)" if able else ""
    reason = f"{inside} has no form of it; it is in what is not explained{remedy}"
    place = {"factor": factor, "direction": "on", "framework": inside, "seed": 0}
    return {**place, "status": "not run", "reason": reason}


def show(found: Attribution, origin: str, target: str, inside: str) -> None:
    """Print the ranked table and the sentences."""
    ranks = {"worth, points": 0, "95 %": 0, "on first": 2, "off last": 2, "first 20 steps": 3}
    numbers = [table.Column(name, rank, right=True) for name, rank in ranks.items()]
    shown = table.Table(
        [table.Column("default"), *numbers, table.Column("p (Holm)", 1, right=True)]
    )
    blank = ("",) * 4
    for factor in found.factors:
        shown.add(
            factor.name,
            *_mean_and_interval(factor.worth),
            f"{100 * factor.on.mean:+.2f}",
            f"{100 * factor.off.mean:+.2f}",
            f"{factor.early:.1e}",
            f"{factor.worth.p_holm:.2g}",
        )
    for name, worth in ((found.rest, found.together), ("all of them", found.total)):
        shown.add(name, *_mean_and_interval(worth), *blank)
    if found.own is not None and found.unexplained is not None:
        shown.add(f"{target} less {origin}, own runs", *_mean_and_interval(found.own), *blank)
        shown.add("not explained", *_mean_and_interval(found.unexplained), *blank)
    table.show(shown)
    terminal = Terminal(soft_wrap=True, highlight=False)
    for sentence in sentences(found, origin, target, inside):
        terminal.print(f"- {sentence}", markup=False)


def _mean_and_interval(worth: Mean) -> tuple[str, str]:
    return f"{100 * worth.mean:+.2f}", f"{100 * worth.low:+.2f} to {100 * worth.high:+.2f}"
