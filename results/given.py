"""Were the frameworks given the same? Decided from the hashes that each run recorded."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from results.words import nouns

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from results.store import Store


@dataclass(frozen=True)
class Given:
    """An input that all frameworks of a block must share, by the column that records it.

    Attributes:
        column: of `runs`.
        what: the input in words.
        matched: True if only matched parity demands it. Under native parity each framework draws
            its own.
        there_is_always: False if null means that a run has none (copies, say); True if null means
            that the value is unknown.
    """

    column: str
    what: str
    matched: bool = False
    there_is_always: bool = True


AUGMENTATION = "augmentation_hash"
GIVEN = (
    Given("parameters", "parameter count"),
    Given("split_hash", "split"),
    Given("order_hash", "batch order"),
    Given(AUGMENTATION, "augmented pictures", there_is_always=False),
    Given("weights_hash", "initial weights", matched=True),
    Given("masks_hash", "dropout masks", matched=True, there_is_always=False),
)


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


def checks(runs: "pd.DataFrame", parity: str) -> list[Check]:
    """Every check of runs that differ in framework, seed and repeat only.

    Args:
        runs: finished runs, one for each framework, seed and repeat.
        parity: "matched" or "native".
    """
    return list(_checks(runs, parity))


def _checks(runs: "pd.DataFrame", parity: str) -> "Iterator[Check]":
    import pandas as pd

    keys = runs[["seed", "repeat"]].fillna(0).astype("int64").itertuples(index=False, name=None)
    places: dict[tuple[int, int], list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    frameworks = runs["framework"].tolist()
    values = {given.column: runs[given.column].tolist() for given in GIVEN}
    augmented = not runs[AUGMENTATION].isna().all()
    for seed, repeat in sorted(places):
        for given in GIVEN:
            column = given.column
            if column == AUGMENTATION and not augmented:
                continue  # there was none
            recorded = {
                frameworks[place]: "not recorded" if pd.isna(value) else str(value)
                for place in places[seed, repeat]
                for value in [values[column][place]]
            }
            if set(recorded.values()) == {"not recorded"}:
                verdict = "none"
            elif len(recorded) == 1:
                verdict = "alone"
            elif len(set(recorded.values())) == 1:
                verdict = "equal"
            else:
                verdict = "by design" if parity == "native" and given.matched else "different"
            yield Check(seed, repeat, given.what, verdict, recorded)


def refusal(found: list[Check]) -> str:
    """Why the frameworks must not be compared, in a sentence; empty when they may."""
    different = [check for check in found if check.verdict == "different"]
    if not different:
        return ""
    parts = []
    for what in dict.fromkeys(check.what for check in different):
        seeds = sorted({check.seed for check in different if check.what == what})
        which = ", ".join(map(str, seeds))
        parts.append(f"{what} ({nouns(len(seeds), 'seed')} {which})")
    return f"comparison refused: the frameworks differ in {'; '.join(parts)}"


def disagreements(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Runs of one block whose inputs differ although they should be equal; empty if all agree.

    Args:
        rows: stored runs of one machine, as dictionaries with the columns of `runs`.

    Returns:
        One sentence for each column of `GIVEN` that differs within a block.
    """
    blocks: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] in ("ok", "diverged"):
            key = (row["task_id"], row["seed"], row.get("repeat"))
            blocks.setdefault(key, []).append(row)
    found = []
    for block in blocks.values():
        for given in GIVEN:
            if given.matched and block[0]["parity"] != "matched":
                continue
            if len({row.get(given.column) for row in block}) > 1:
                names = ", ".join(f"{row['framework']} {row.get(given.column)}" for row in block)
                which = f"{block[0]['architecture']} seed {block[0]['seed']}"
                found.append(f"{which}: {given.column} differs ({names})")
    return found


def stored(
    store: "Store", run_ids: Collection[str], machine_id: str | None
) -> list[dict[str, Any]]:
    """The latest stored execution with status ok of each of the runs, on this machine or, of None,
    on any.

    Only the columns that `disagreements` looks at; what is null is None.
    """
    if not run_ids:
        return []
    columns = ["run_id", "execution_id", "machine_id", "framework", "status", "task_id"]
    columns += ["architecture", "seed", "repeat", "parity", *(given.column for given in GIVEN)]
    frame = store.runs(columns=columns)
    asked = frame["run_id"].isin(run_ids)
    frame = frame[asked & (frame["status"] == "ok")]
    if machine_id is not None:
        frame = frame[frame["machine_id"] == machine_id]
    frame = frame.drop_duplicates("run_id", keep="last").astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in rows]
