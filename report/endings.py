"""End of trainings: the epochs trained, and the epoch whose weights were tested."""

import pandas as pd

from results.views.numbers import spread
from results.words import nouns


def ending(runs: pd.DataFrame) -> str:
    """End of training in words: "stopped after 12 of 30 epochs; tested epoch 8"; ranges over runs.

    Empty where every run trained as long as asked for and was tested with its last weights.

    Args:
        runs: finished runs of one cell.
    """
    columns = ["epochs", "epochs_trained", "tested_epoch"]
    if not set(columns) <= set(runs.columns):
        return ""
    known = runs[columns].dropna().astype(int)
    words = []
    if (known["epochs_trained"] < known["epochs"]).any():
        trained, asked = _range(known["epochs_trained"]), _range(known["epochs"])
        words.append(f"stopped after {trained} of {asked} {nouns(known['epochs'].max(), 'epoch')}")
    if (known["tested_epoch"] < known["epochs_trained"]).any():
        words.append(f"tested epoch {_range(known['tested_epoch'])}")
    return "; ".join(words)


def _range(values: pd.Series) -> str:
    return spread(values.tolist(), 0)
