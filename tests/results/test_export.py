"""Exported frames: every number as it is stored, under its own column."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from results.export import exported

FRAME = pd.DataFrame(
    {
        "run_id": ["a|b", "c"],
        "epoch_seconds": [1 / 3, 1234567.891],
        "seed": pd.array([3, None], dtype="Int64"),
        "probabilities": [np.array([0.25, 0.75], np.float32), None],
    },
    index=[7, 9],
)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_programs_read_is_exact(form) -> None:
    content = io.BytesIO(exported(FRAME, form))
    if form == "csv":
        read = pd.read_csv(content)
        assert json.loads(read["probabilities"][0]) == [0.25, 0.75]
    else:
        read = pd.read_parquet(content)
        assert list(read["probabilities"][0]) == [0.25, 0.75]
    assert list(read.columns) == list(FRAME.columns)
    assert read["epoch_seconds"].tolist() == FRAME["epoch_seconds"].tolist()
    assert (read["seed"][0], pd.isna(read["seed"][1])) == (3, True)


def test_a_page_has_four_figures_and_numbers_to_the_right() -> None:
    head, rule, first, second = exported(FRAME, "markdown").decode().splitlines()
    assert head == "| run_id | epoch_seconds | seed | probabilities |"
    assert rule == "| :-- | --: | --: | :-- |"
    assert first.startswith("| a\\|b | 0.3333 | 3 |")
    assert second.startswith("| c | 1.235e+06 |  |")
