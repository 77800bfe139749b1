"""Recall on the page: a galaxy counts once, however many runs or copies were tested on it."""

import numpy as np
import pandas as pd

from report.sections.confusion import Confusion, confusion
from results.schema import COPY
from results.stats.intervals import wilson


def test_recall_is_of_distinct_galaxies() -> None:
    found = Confusion(np.array([[6, 2], [0, 4]]), np.array([4, 2]))
    assert found.recall(0) == wilson(3, 4)  # 6 of 8 answers on 4 galaxies
    assert found.recall(1) == wilson(2, 2)


def test_copies_and_runs_of_a_galaxy_are_one_galaxy() -> None:
    index = [5, 5 + COPY, 5, 7]
    rows = pd.DataFrame({"index": index, "label": [0, 0, 0, 1], "predicted": [0, 1, 0, 1]})
    found = confusion(rows, 2)
    assert found.galaxies.tolist() == [1, 1]
    assert found.counts.tolist() == [[2, 1], [0, 1]]
