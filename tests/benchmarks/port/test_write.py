"""A program as the product's own data: what has words is written, what has none is named."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from benchmarks.port.compare import EQUAL
from benchmarks.port.operation import PICTURES, Listing, Operation, PortError, Recipe
from benchmarks.port.readers.torch_modules import drops_pictures
from benchmarks.port.write import written
from frameworks.spec.architecture import load_with_recipe
from frameworks.spec.averages import AverageWeights
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.optimizers import Lion
from tests.benchmarks.port.conftest import Compared

NONE = [[0, 0], [0, 0]]


def operation(number: int, kind: str, sources: list[str], shape: list[int], **constants: Any):
    return Operation(
        id=str(number),
        kind=kind,
        name=f"{kind}_{number}",
        sources=sources,
        shape=shape,
        constants=constants,
    )


def conv(number: int, source: str, filters: int, side: int, **constants: Any) -> Operation:
    usual = {"kernel": [3, 3], "stride": [1, 1], "padding": [[1, 1], [1, 1]], "bias": True}
    usual |= {"dilation": [1, 1], "groups": 1, "filters": filters}
    return operation(number, "conv", [source], [side, side, filters], **usual | constants)


def listing(*extra: Operation, output: str = "7", **parts: Any) -> Listing:
    """8x8 pictures; conv, relu, a residual block, a pool, flatten and dense."""
    relu = {"function": "relu"}
    made = [
        conv(0, PICTURES, 4, 8),
        operation(1, "activation", ["0"], [8, 8, 4], **relu),
        conv(2, "1", 4, 8, bias=False, kernel_regularizer="L2(l2=0.5)"),
        operation(3, "add", ["2", "1"], [8, 8, 4]),
        operation(4, "max_pool", ["3"], [4, 4, 4], size=[2, 2], stride=[2, 2], padding=NONE),
        operation(5, "flatten", ["4"], [64]),
        operation(6, "dropout", ["5"], [64], rate=0.25, per="value"),
        operation(7, "dense", ["6"], [3], units=3, bias=True),
        *extra,
    ]
    weights = {"a": [3, 3, 3, 4], "b": [4], "c": [3, 3, 4, 4], "d": [64, 3], "e": [3]}
    usual: dict[str, Any] = {"parameters": weights, "fixed": [], "recipe": Recipe()}
    return Listing(
        framework="torch", operations=made, output=output, input=[8, 8, 3], **usual | parts
    )


def layers(text: str, directory: Path) -> list[str]:
    """The types of the layers that a file of this text holds, blocks opened."""
    path = directory / "written.toml"
    path.write_text(text)
    found = load_with_recipe(path)[0].layers
    return [str(layer.__struct_config__.tag) for layer in found]


def test_a_program_is_written_with_its_blocks(tmp_path: Path) -> None:
    text = written(listing(), "net.py:Net")
    kinds = ["conv", "activation", "residual", "max_pool", "flatten", "dropout", "dense"]
    assert layers(text, tmp_path) == kinds
    assert "l2 = 0.5" in text
    assert 'title = "net.py:Net"' in text
    assert "[recipe]" not in text


def test_a_product_with_what_it_is_computed_from_is_a_gate(tmp_path: Path) -> None:
    gate = [
        operation(10, "adaptive_average_pool", ["3"], [1, 1, 4], parts=[1, 1]),
        conv(11, "10", 4, 1, kernel=[1, 1], padding=NONE, bias=False),
        operation(12, "activation", ["11"], [1, 1, 4], function="sigmoid"),
    ]
    for sources in (["3", "12"], ["12", "3"]):
        ends = operation(13, "multiply", sources, [8, 8, 4])
        made = listing()
        pool = msgspec.structs.replace(made.operations[4], sources=["13"])
        made.operations[4:5] = [*gate, ends, pool]
        made.parameters["f"] = [1, 1, 4, 4]
        text = written(made, "net.py:Net")
        kinds = ["conv", "activation", "residual", "gate", "max_pool"]
        assert layers(text, tmp_path)[:5] == kinds
    with pytest.raises(PortError, match=r"multiply_8 \(square\)"):
        written(listing(operation(8, "multiply", ["7", "7"], [3]), output="8"), "net.py:Net")


def test_channels_joined_are_branches_also_where_a_densenet_joins_all_anew(tmp_path: Path) -> None:
    made = listing()
    made.operations[4:5] = [
        operation(20, "concatenate", ["3"], [8, 8, 4], axis="C"),
        conv(10, "20", 2, 8, bias=False),
        operation(21, "concatenate", ["3", "10"], [8, 8, 6], axis="C"),
        operation(11, "activation", ["21"], [8, 8, 6], function="hardswish"),
        conv(12, "11", 2, 8, bias=False),
        operation(22, "concatenate", ["3", "10", "12"], [8, 8, 8], axis="C"),
        msgspec.structs.replace(made.operations[4], sources=["22"], shape=[4, 4, 8]),
    ]
    made.operations[-3].shape = made.operations[-2].shape = [128]
    made.parameters |= {"f": [3, 3, 4, 2], "g": [3, 3, 6, 2], "d": [128, 3]}
    text = written(made, "net.py:Net")
    kinds = ["conv", "activation", "residual", "concatenate", "concatenate", "max_pool"]
    assert layers(text, tmp_path)[:6] == kinds
    assert 'function = "hard_swish"' in text


@pytest.mark.parametrize(("kept", "scale", "told"), [(0.75, 0.75, True), (0.75, 1, False)])
def test_stochastic_depth_is_told_by_what_it_does(kept: float, scale: float, told: bool) -> None:
    class DropPath(nn.Module):
        drop_prob = 0.25

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = torch.empty(len(x), 1, 1, 1).bernoulli_(kept) / scale
            return x * mask if self.training else x

    module = DropPath()
    assert drops_pictures(module) == drops_pictures(copy.deepcopy(module)) == told
    assert module.training
    assert not drops_pictures(nn.Dropout(0.25))


def test_the_recipe_is_written_beside_it(tmp_path: Path) -> None:
    recipe = Recipe(
        loss={"kind": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1.0, 2.0, 1.0]},
        optimizer={
            **{"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
            **{"velocity_form": "rate_inside", "weight_decay": 1e-4, "decay_form": "coupled"},
            **{"clipping": "norm of all gradients", "clipping_limit": 2.0},
        },
    )
    path = tmp_path / "written.toml"
    path.write_text(written(listing(recipe=recipe), "net.py:Net"))
    told = load_with_recipe(path)[1].recipe
    assert told.optimizer.rate == 0.1
    assert (told.optimizer.weight_decay, told.optimizer.decay_form) == (1e-4, "coupled")
    assert told.clipping.limit == 2.0
    assert told.loss.label_smoothing == 0.1
    assert told.class_weights == (1.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"extra": [operation(8, "prelu", ["7"], [3])]}, r"prelu_8 \(prelu\)"),
        ({"extra": [operation(8, "unread:cumsum", ["7"], [3])]}, r"unread_8|unread:cumsum"),
        ({"extra": [operation(8, "activation", ["7"], [3], function="softsign")]}, r"\(softsign\)"),
        ({"extra": [operation(8, "concatenate", ["7", "7"], [6])]}, "concatenate of 2 inputs"),
    ],
)
def test_what_has_no_word_is_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(PortError, match=named) as refused:
        written(listing(*changed["extra"], output="8"), "net.py:Net")
    assert refused.value.status == 4


def test_a_recipe_without_words_is_named() -> None:
    recipe = Recipe(
        loss={"kind": "unread:focal"},
        optimizer={"kind": "unread:Nadam", "learning_rate": 1.0},
        rates={0: 0.1, 100: 0.01},
    )
    with pytest.raises(PortError, match=r"optimizer Nadam; the loss focal; a schedule"):
        written(listing(recipe=recipe), "net.py:Net")


LION = {"kind": "lion", "learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.99}
LION |= {"weight_decay": 0.01, "decay_form": "decoupled", "undecayed": "nothing"}
AVERAGE = {"average_weights": 0.9, "average_start": "debiased"}
SCALE = {"loss_scale": 1024.0, "loss_scale_interval": 2000}


def test_groups_averages_and_scale_are_written(tmp_path: Path) -> None:
    path = tmp_path / "written.toml"
    told = []
    for around in ({"accumulation": 4, **AVERAGE}, SCALE):
        path.write_text(written(listing(recipe=Recipe(optimizer=LION | around)), "net.py:Net"))
        told.append(load_with_recipe(path)[1].recipe)
    first, second = told
    assert first.optimizer == Lion(learning_rate=1e-3, weight_decay=0.01)
    assert (first.accumulation, second.accumulation) == (4, 1)
    assert first.average_weights == AverageWeights(decay=0.9, start="debiased")
    assert second.loss_scale == LossScale(initial=1024.0, interval=2000)


@pytest.mark.parametrize(
    ("around", "named"),
    [
        (AVERAGE | {"average_overwrite_frequency": 100}, "average_overwrite_frequency = 100"),
        (AVERAGE | {"average_statistics": True}, "average_statistics = True"),
        (AVERAGE | {"average_start": "zero"}, "average of the weights: from zero, not divided"),
        ({"average_weights": "the mean of all steps"}, "weights: the mean of all steps"),
        (SCALE | {"loss_scale_interval": "never"}, r"a fixed scale of the loss \(1024\)"),
        (SCALE | {"loss_scale_growth": 4.0}, "loss_scale_growth = 4"),
        ({"accumulation": "a number that changes"}, "accumulation of a number that changes"),
        (SCALE | {"accumulation": 2}, "goes with neither accumulation nor average_weights"),
    ],
)
def test_what_the_words_around_an_optimizer_cannot_hold_is_named(
    around: dict[str, Any], named: str
) -> None:
    with pytest.raises(PortError, match=named):
        written(listing(recipe=Recipe(optimizer=LION | around)), "net.py:Net")


def test_parameters_that_do_not_fit_are_told() -> None:
    with pytest.raises(PortError, match=r"trains 8 parameters, and what was written 451"):
        written(listing(parameters={"a": [8]}), "net.py:Net")


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(("one", "other"), [("residual", "Residual"), ("excited", "Excited")])
def test_what_is_written_is_the_program(
    compared: Compared, tmp_path: Path, one: str, other: str
) -> None:
    found = compared(f"shapes_keras.py:{one}", f"shapes_torch.py:{other}")
    path = tmp_path / "written.toml"
    path.write_text(written(found.listings[1], f"shapes_torch.py:{other}"))
    again = compared(
        str(path), f"shapes_torch.py:{other}", size=found.listings[1].input, given_weights=True
    )
    assert again.status == EQUAL, again.verdict
