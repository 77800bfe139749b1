"""Every verdict: the word, the one thing that it means wherever it is printed, and its limits."""

from collections.abc import Iterable
from typing import Final, Literal, get_args

Speed = Literal["faster", "slower", "undecided", "not judged"]  # of two cells
Change = Literal["regressed", "error", "no-data", "improved", "unchanged"]  # since a baseline
Equality = Literal["equal", "different", "undecided"]  # of two trainings' outcomes
Replication = Literal["reproduced", "higher", "lower", "not comparable"]  # of a published figure

SURE: Final = 0.01  # a test is sure of a difference below this p value
LEAST_RATIO: Final = 0.03  # the threshold, a share: a smaller difference is not called one

FASTER: Final = "faster"
SLOWER: Final = "slower"
NOT_JUDGED: Final = "not judged"
UNDECIDED: Final = "undecided"
REGRESSED: Final = "regressed"
IMPROVED: Final = "improved"
UNCHANGED: Final = "unchanged"
NO_DATA: Final = "no-data"
ERROR: Final = "error"
EQUAL: Final = "equal"
DIFFERENT: Final = "different"
REPRODUCED: Final = "reproduced"
HIGHER: Final = "higher"
LOWER: Final = "lower"
NOT_COMPARABLE: Final = "not comparable"

# The first of them that a cell has is what a gate of several cells says.
CHANGES: Final[tuple[Change, ...]] = get_args(Change)

MEANING: Final[dict[str, str]] = {
    FASTER: "it took less time, by more than the threshold and the noise floor, and the test is "
    "sure",
    SLOWER: "it took more time, by more than the threshold and the noise floor, and the test is "
    "sure",
    UNDECIDED: "these runs show neither a difference nor that there is none",
    NOT_JUDGED: "the two may not be compared, or the runs are too few for any verdict",
    REGRESSED: "worse, by more than the threshold and the noise floor, and the test is sure",
    IMPROVED: "better, by more than the threshold and the noise floor, and the test is sure",
    UNCHANGED: "a change for the worse of a size that matters is ruled out",
    NO_DATA: "these runs settle nothing; the reason says what would help",
    ERROR: "a run of the candidate failed",
    EQUAL: "a difference as large as the margin is ruled out",
    DIFFERENT: "a difference is shown",
    REPRODUCED: "the published figure lies where another run of ours is expected",
    HIGHER: "ours is above where the published figure lets us expect it",
    LOWER: "ours is below where the published figure lets us expect it",
    NOT_COMPARABLE: "the published figure and our runs are not of one experiment, or ours are too "
    "few or too noisy",
}


def explained(verdicts: Iterable[str]) -> str:
    """`faster: it took less time ...; undecided: ...`: each verdict once, with its meaning."""
    return "; ".join(f"{word}: {MEANING[word]}" for word in dict.fromkeys(verdicts))
