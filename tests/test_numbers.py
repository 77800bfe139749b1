"""Every number of README and docs that has a data file is computed again from it."""

import json
import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from results.stats.intervals import wilson
from results.stats.means import Mean, independent, paired

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs" / "evidence"
MANIFEST = tomllib.loads((EVIDENCE / "numbers.toml").read_text(encoding="utf-8"))
NUMBERS = MANIFEST["number"]


@cache
def read(name: str) -> Any:
    path = EVIDENCE / "data" / name
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def names(data: Any) -> dict[str, Any]:
    """What an expression may use: numbers of runs, of findings, of pairs, of tries."""

    def seeds(framework: str, architecture: str, labels: str) -> list[float]:
        """Mean test accuracy with its interval over the galaxies, lowest and highest seed."""
        mine = data[(data.framework == framework) & (data.architecture == architecture)]
        mine = mine[mine.labels == labels]
        accuracy, images = mine.test_accuracy, int(mine.test_images.iloc[0])
        share = wilson(accuracy.mean() * images, images)
        return [share.value, share.low, share.high, accuracy.min(), accuracy.max()]

    def of(target: str, framework: str) -> np.ndarray:
        rows = data[(data.direction == "own") & (data.target == target)]
        return 100 * rows[rows.framework == framework].sort_values("seed").accuracy.to_numpy()

    def own(target: str) -> Mean:
        return paired(of(target, target) - of(target, "keras"))

    def own_apart(target: str) -> Mean:
        return independent([of(target, "keras"), of(target, target)], (-1, 1))

    def half(mean: Mean) -> float:
        return mean.high - mean.mean

    def contest(framework: str, architecture: str) -> dict[str, list[float]]:
        wanted = {"framework": framework, "architecture": architecture, "precision": "bfloat16"}
        (found,) = [one for one in data["contests"] if wanted.items() <= one["settings"].items()]
        return found["seconds"]

    def tries(case: str, verdict: str = "") -> int:
        mine = [one for one in data if one["case"] == case]
        return sum(not verdict or one["verdict"]["verdict"] == verdict for one in mine)

    functions: list[Callable[..., Any]] = [seeds, own, own_apart, half, contest, tries]
    found: dict[str, Any] = {one.__name__: one for one in functions}
    if isinstance(data, pd.DataFrame) and {"rung", "rate"} <= set(data.columns):
        normed = data.architecture.isin(["c1_bn", "c2", "dieleman_bn"])
        full = (data.rung == "R5a") & (data.rate == 1.0) & normed
        found |= {"at_full_rate": data[full], "at_usual_rates": data[~full]}
    return found | {"data": data, "np": np}


@pytest.mark.parametrize("number", NUMBERS, ids=lambda one: f"{one['page']}: {one['says'][:40]}")
def test_a_number_is_what_its_data_say(number) -> None:
    data = read(number["data"])
    values = eval(f"[{', '.join(number['values'])}]", names(data))
    says = number["says"].format(*values)
    text = re.sub(r"\s+", " ", (ROOT / number["page"]).read_text(encoding="utf-8"))
    assert re.sub(r"\s+", " ", says) in text, says


def test_every_data_file_of_the_manifest_is_there_and_no_entry_stands_twice() -> None:
    said = [(one["page"], one["says"]) for one in NUMBERS]
    assert len(said) == len(set(said))
    for one in NUMBERS:
        assert (EVIDENCE / "data" / one["data"]).is_file()
    for one in MANIFEST["without_data"]:
        assert (ROOT / one["page"]).is_file()
        assert one["why"]
