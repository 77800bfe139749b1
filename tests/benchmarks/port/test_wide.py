"""Networks of today: scales, attention, patches, shuffles, channels first, transposes."""

import pytest

from benchmarks.port.compare import DIFFERENT, EQUAL, UNKNOWN, Found
from tests.benchmarks.port.conftest import Compared

pytestmark = pytest.mark.slow


def wide(pair: str, compared: Compared) -> Found:
    """The comparison of `keras name` and `torch name, optimizer=other`, apart by a bar."""
    labels, parts = [], []
    for side in pair.split(" | "):
        label, *given = side.split(", ")
        framework, name = label.split()
        labels.append(f"wide_{framework}.py:{name}")
        parts.append(dict(one.split("=") for one in given))
    return compared(*labels, tuple(parts), size=[16, 16, 3], given_weights=True)


EQUALS = [
    *("keras convnext | torch ConvNext", "keras cbam | torch Cbam", "keras vit | torch Vit"),
    *("keras patches | torch Patches", "keras shuffled | torch Shuffled"),
    *("torch Tokens | torch Tokens", "torch RightView | torch RightView"),
    *("flax Grown | torch Grown", "flax turned | torch Grown", "flax GrownLinen | torch Grown"),
    *("flax Vit | torch Vit", "flax VitLinen | torch Vit"),
    *("keras vit | torch ByHand", "torch Gates | torch Gates"),
    "flax Grown, optimizer=grouped | torch Grown, optimizer=decayed",
]


@pytest.mark.parametrize(
    "pair", [*EQUALS, pytest.param("keras first | torch First", marks=pytest.mark.extended)]
)
def test_equal_pairs_are_equal(pair: str, compared: Compared) -> None:
    found = wide(pair, compared)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert not found.unread
    assert max(found.measured.values()) < 1e-9


CAUSES = [
    ("keras convnext | torch WiderNorm", "norm: epsilon (1e-06 in A, 1e-05 in B)"),
    ("keras convnext | torch Unscaled", "missing layer"),
    ("keras cbam | torch CbamOfLeast", "min: extra layer"),
    ("keras vit | torch FourHeads", "attention: heads (2 in A, 4 in B)"),
    ("torch Vit | torch Dropping", "attention: attention_rate (none in A, 0.1 in B)"),
    ("torch Blurred | torch BlurredLess", "kernel: stated numbers (0.1111"),
    ("torch Limited | torch LimitedMore", "scale (4 in A, 5 in B)"),
    ("torch RightView | torch WrongView", "reshape: extra layer (none in A, reshape in B)"),
    ("keras shuffled | torch ShuffledInFour", "parts ((4, 2) in A, (2, 4) in B)"),
    ("keras shuffled | torch NotShuffled", "missing layer (shuffle in A"),
    ("keras first | torch FirstLess", "drop: rate (0.2 in A, 0.1 in B)"),
    ("flax Grown | torch cut_more", "two: cut ((1, 1) in A, (2, 2) in B)"),
    (
        "flax Grown, optimizer=grouped | torch Grown, optimizer=decayed_all",
        "undecayed (beta, bias, gamma in A, nothing in B)",
    ),
]


@pytest.mark.parametrize(("pair", "cause"), CAUSES)
def test_the_one_difference_is_named_first(pair: str, cause: str, compared: Compared) -> None:
    found = wide(pair, compared)
    assert found.status == DIFFERENT
    assert cause in found.verdict


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("keras vit | torch Doubled", "both may compute the same with them"),
    ],
)
def test_weights_that_cannot_be_paired_make_no_difference(
    pair: str, told: str, compared: Compared
) -> None:
    found = wide(pair, compared)
    assert found.status == UNKNOWN
    assert told in found.verdict
