"""Programs that say the same look the same: products and means by hand, arithmetic with numbers."""

from typing import Any

import numpy as np
import pytest

from benchmarks.port.normal import normal
from benchmarks.port.operation import PICTURES, Listing, Operation, Recipe
from benchmarks.port.readers.meaning import parted, shifted
from tests.benchmarks.port.test_write import operation

SHAPE = [4, 4, 3]


def kinds(*made: Operation) -> list[tuple[str, Any]]:
    """Kinds of the normal form, and the functions of activations."""
    shapes = {"parameters": {}, "fixed": [], "recipe": Recipe()}
    found = Listing(
        framework="torch",
        operations=list(made),
        output=made[-1].id,
        input=SHAPE,
        **shapes,  # type: ignore[arg-type]
    )
    return [(one.kind, one.constants.get("function")) for one in normal(found).operations]


def gate(function: str, number: int, source: str) -> Operation:
    return operation(number, "activation", [source], SHAPE, function=function)


def rescale(number: int, source: str, scale: float, offset: float) -> Operation:
    return operation(number, "rescale", [source], SHAPE, scale=scale, offset=offset)


def product(number: int, *sources: str) -> Operation:
    return operation(number, "multiply", list(sources), SHAPE)


@pytest.mark.parametrize(
    ("made", "function"),
    [
        ([gate("sigmoid", 0, PICTURES), product(1, PICTURES, "0")], "silu"),
        ([gate("sigmoid", 0, PICTURES), product(1, "0", PICTURES)], "silu"),
        ([gate("hardsigmoid", 0, PICTURES), product(1, PICTURES, "0")], "hardswish"),
        (
            [rescale(0, PICTURES, 1.0, 3.0), gate("relu6", 1, "0"), rescale(2, "1", 1 / 6, 0.0)],
            "hardsigmoid",
        ),
        (
            [
                *(rescale(0, PICTURES, 1.0, 3.0), gate("relu6", 1, "0")),
                *(product(2, PICTURES, "1"), rescale(3, "2", 1 / 6, 0.0)),
            ],
            "hardswish",
        ),
    ],
)
def test_a_product_by_hand_is_the_activation(made: list[Operation], function: str) -> None:
    assert kinds(*made) == [("activation", function)]


def test_other_products_stay() -> None:
    steep = [rescale(0, PICTURES, 1.7, 0.0), gate("sigmoid", 1, "0"), product(2, PICTURES, "1")]
    assert [kind for kind, _ in kinds(*steep)] == ["rescale", "activation", "multiply"]
    early = [rescale(0, PICTURES, 1.0, 2.0), gate("relu6", 1, "0"), rescale(2, "1", 1 / 6, 0.0)]
    assert len(kinds(*early)) == 3


def test_a_mean_after_a_mean_is_a_pool() -> None:
    one = operation(0, "mean", [PICTURES], [4, 3], axes=["W"])
    assert kinds(one, operation(1, "mean", ["0"], [3], axes=["H"])) == [("average_pool", None)]
    other = operation(1, "max", ["0"], [3], axes=["H"])
    assert [kind for kind, _ in kinds(one, other)] == ["mean", "max"]


@pytest.mark.parametrize("value", [2.0, [2.0, 4.0]])
@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("kind", ["add", "sub", "mul", "div"])
def test_arithmetic_with_a_number_is_a_rescale(kind: str, value: Any, ahead: bool) -> None:
    found, x = shifted(kind, value, ahead=ahead), np.array([3.0, 5.0])
    if kind == "div" and ahead:
        assert found is None
        return
    assert found is not None
    pair = (value, x) if ahead else (x, value)
    by = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
    made = x * np.asarray(found["scale"]) + np.asarray(found["offset"])
    assert np.allclose(made, by[kind](*pair))


def test_uneven_parts_are_adaptive() -> None:
    assert parted("max_pool", [8, 8], [4, 4])[1]["size"] == [2, 2]
    assert parted("max_pool", [8, 8], [3, 3]) == ("adaptive_max_pool", {"parts": [3, 3]})
