"""Were the frameworks given the same? Decided from the hashes that each run recorded."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

AUGMENTATION = "augmentation_hash"
# What must be equal between frameworks, in words; the last two only under matched parity, since
# under native parity each framework draws its own weights and masks.
ALWAYS = {
    "parameters": "parameter count",
    "split_hash": "split",
    "order_hash": "batch order",
    AUGMENTATION: "augmented copies",
}
MATCHED = {
    "weights_hash": "initial weights",
    "masks_hash": "dropout masks",
}


@dataclass(frozen=True)
class Check:
    """One quantity of one seed, compared between frameworks.

    Attributes:
        verdict: "equal", "different", "by design" (native parity), "none" (recorded by no run)
            or "alone" (one framework only).
        recorded: by framework, as text.
    """

    seed: int
    repeat: int
    what: str
    verdict: str
    recorded: dict[str, str]


def checks(runs: pd.DataFrame, parity: str) -> list[Check]:
    """Every check of runs that differ in framework, seed and repeat only.

    Args:
        runs: finished runs, one for each framework, seed and repeat.
        parity: "matched" or "native".
    """
    return list(_checks(runs, parity))


def _checks(runs: pd.DataFrame, parity: str) -> "Iterator[Check]":
    keys = runs[["seed", "repeat"]].fillna(0).astype("int64")
    for seed, repeat in sorted(set(keys.itertuples(index=False, name=None))):
        group = runs[(keys["seed"] == seed) & (keys["repeat"] == repeat)]
        for column, what in (ALWAYS | MATCHED).items():
            if column == AUGMENTATION and runs[column].isna().all():
                continue  # there was none
            recorded = {
                framework: "not recorded" if pd.isna(value) else str(value)
                for framework, value in zip(group["framework"], group[column], strict=True)
            }
            if set(recorded.values()) == {"not recorded"}:
                verdict = "none"
            elif len(recorded) == 1:
                verdict = "alone"
            elif len(set(recorded.values())) == 1:
                verdict = "equal"
            else:
                by_design = parity == "native" and column in MATCHED
                verdict = "by design" if by_design else "different"
            yield Check(seed, repeat, what, verdict, recorded)


def refusal(found: list[Check]) -> str:
    """Why the frameworks must not be compared, in a sentence; empty when they may."""
    different = [check for check in found if check.verdict == "different"]
    if not different:
        return ""
    parts = []
    for what in dict.fromkeys(check.what for check in different):
        seeds = sorted({check.seed for check in different if check.what == what})
        which = ", ".join(map(str, seeds))
        parts.append(f"{what} (seed{'s' if len(seeds) > 1 else ''} {which})")
    return f"comparison refused: the frameworks differ in {'; '.join(parts)}"
