"""Programs in the manners that people write them: equal pairs, and the same with one difference."""

import pytest

from benchmarks.port.compare import DIFFERENT, EQUAL, UNKNOWN, Found
from benchmarks.port.operation import PortError
from tests.benchmarks.port.conftest import Compared, held

_FILES = {
    **{"keras": "styles_keras.py", "torch": "styles_torch.py", "flax": "styles_flax.py"},
    **{"recipe": "styles_recipes_torch.py", "network": "styles_networks_torch.py"},
}
pytestmark = pytest.mark.slow


def styled(pair: str, compared: Compared) -> Found:
    """The comparison of `keras net, loss=other` and `torch Net`, apart by a bar."""
    labels, parts = [], []
    for side in pair.split(" | "):
        label, *given = side.split(", ")
        framework, name = label.split()
        labels.append(f"{_FILES[framework]}:{name}")
        parts.append(dict(one.split("=") for one in given))
    return compared(*labels, tuple(parts), size=[8, 8, 3], given_weights=True)


EQUALS = [
    *("keras ordered | network ordered", "keras loops | network Loops", "keras net | network Raw"),
    *("keras res | network Res", "keras Blocks | network Blocks", "keras scaled | torch Scaled"),
    *("keras cast | torch Cast", "keras activated | torch Activated", "keras swish | torch Swish"),
    *("keras pooled | torch Pooled", "keras ceiled | torch Ceiled", "keras parted | torch Parted"),
    *("keras reflected | torch Reflected", "keras whole | torch Whole"),
    *("keras grouped | torch Grouped", "keras channels | torch Channels"),
    *("keras turned_over | torch turned", "torch Lenient | flax Lenient"),
    *("keras tied | torch Tied", "keras excited | torch Excited", "keras summed | torch Summed"),
    *("keras net | torch compiled", "keras net, optimizer=stepped | network Lit"),
    "keras binary, loss=of_classes | recipe Binary, loss=binary",
    "keras probable, loss=of_probabilities | recipe Binary, loss=binary",
    "keras net, optimizer=restarts | recipe Net, optimizer=plain, schedule=restarts",
    "keras net, optimizer=falling | recipe Net, optimizer=plain, schedule=falling",
    *("torch Net | flax Net", "torch Net | flax Jitted", "torch Net | flax Typed"),
    *(
        "torch Dropped | flax Chained",
        "torch Excited | flax Excited",
        "network Basic | flax ResNet",
    ),
    *("recipe Net | flax Net, optimizer=traced", "recipe Net | flax Net, optimizer=injected"),
    "recipe Net, optimizer=adam | flax Net, optimizer=chained",
    "recipe Net, optimizer=two_rates | flax Net, optimizer=two_rates",
    "recipe Net, loss=binary | flax Net, loss=of_classes",
    *("keras net | flax Net", "keras grouped | flax Grouped", "keras excited | flax Excited"),
    "keras tied | flax Tied",
]


# One of each manner: Sequential, a subclass, Lightning, NNX, linen, a chain of optax.
HELD = (
    *("keras ordered | network ordered", "keras Blocks | network Blocks"),
    *("keras net, optimizer=stepped | network Lit", "torch Net | flax Net"),
    "recipe Net, optimizer=adam | flax Net, optimizer=chained",
)


@pytest.mark.parametrize("pair", held(EQUALS, *HELD))
def test_equal_pairs_are_equal(pair: str, compared: Compared) -> None:
    found = styled(pair, compared)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert max(found.measured.values()) < 1e-9


CAUSES = [
    ("keras ordered | network ordered_eps", "norm: epsilon"),
    ("keras loops | network LoopsLess", ": missing layer (relu"),
    ("keras net | network RawStride", "conv2d: stride"),
    ("keras res | network ResLater", "layer1.0.conv1: stride"),
    ("keras Blocks | network BlocksHalf", "drop: rate"),
    ("keras scaled | torch ScaledHalf", "div: scale"),
    ("keras cast | torch CastTwice", "mul: extra layer (none in A, rescale"),
    ("keras activated | torch OneSlope", "prelu: per (channel in A, value"),
    ("keras activated | torch Shrunk", "shrink: threshold (0.05 in A, 0.03"),
    ("keras swish | torch SwishPlus", "scale (-1 in A, 1 in B)"),
    ("keras pooled | torch PooledCounted", "avg_pool2d: count_padding"),
    ("keras pooled | torch PooledDense", "wide: dilation"),
    ("keras parted | torch PartedFour", ": kind (adaptive_average_pool in A"),
    ("keras reflected | torch Circular", "conv: value (reflect in A, wrap in B)"),
    ("keras net | torch Reflected", "conv: extra layer (none in A, pad"),
    ("keras whole | torch Untracked", "norm: by_batch_statistics"),
    ("keras whole | torch Plain", "norm: scale (yes in A, no in B)"),
    ("keras grouped | torch GroupedFour", "norm: groups (2 in A, 4"),
    ("keras channels | torch ChannelsLess", "drop: rate"),
    ("keras tied | torch Untied", "kernel: shared with another layer (yes in A, no in B)"),
    ("keras excited | torch ExcitedHard", ": function (sigmoid in A, hardsigmoid"),
    ("keras summed | torch SummedHalf", "add: second_factor (none in A, 0.5"),
    ("keras net | torch NoBias", "conv: bias (yes in A, no in B)"),
    ("keras held | torch Net", ": kernel_constraint (MaxNorm(max_value=3) in A, none"),
    ("keras turned | torch Net", "random_rotation: missing layer"),
    ("keras noised | torch Net", "gaussian_noise: missing layer"),
    ("keras net | torch Assigned", "__setitem__: extra layer"),
    ("keras compiled | recipe Net", "loss: takes (probabilities in A, logits"),
    ("keras net, optimizer=stepped | network LitFast", "schedule: learning rate by step"),
    ("keras binary, loss=of_classes | recipe Binary, loss=binary_positive", "positive_weight"),
    (
        "keras net, loss=of_classes_smoothed | recipe Net, loss=binary",
        "loss: label_smoothing (0.1 in A, none",
    ),
    ("keras net | recipe Net, loss=weighted", "loss: class_weights"),
    ("keras net | recipe Net, loss=ignoring", "loss: ignored_class"),
    ("keras net | recipe Net, optimizer=maximizing", "optimizer: maximize"),
    ("keras net | recipe Net, optimizer=head_alone", "kernel: trained (yes in A, no in B)"),
    ("keras net, optimizer=adam | recipe Net, optimizer=amsgrad", "optimizer: amsgrad"),
    (
        "recipe Net, optimizer=two_rates | recipe Net, optimizer=two_other_rates",
        "rates_of_groups ((0.01, 0.1) in A, (0.02, 0.1)",
    ),
    (
        "recipe Net, schedule=cycle_of_rates | recipe Net, schedule=cycle",
        "momentum by step (0.9, constant in A, 0.95 at step 0 in B)",
    ),
    (
        "keras net, optimizer=restarts | recipe Net, optimizer=plain, schedule=restarts_longer",
        "schedule: learning rate by step (0.1 at step 100 in A",
    ),
    (
        "keras net, optimizer=falling | recipe Net, optimizer=plain, schedule=falling_early",
        "schedule: learning rate by step (0.1 at step 0 in A",
    ),
    ("torch Dropped | flax ChainedHalf", "drop / block.layers.2: rate"),
    ("torch Excited | flax ExcitedHard", ": function (sigmoid in A, hardsigmoid"),
    ("network Basic | flax res_slower", ": momentum (0.9 of the old value in A, 0.99"),
    ("recipe Net | flax Net, optimizer=injected_slow", "learning_rate (0.1 in A, 0.01"),
    ("recipe Net, optimizer=adam | flax Net, optimizer=chained_fast", "learning_rate (0.001 in A"),
    ("recipe Net, optimizer=adam | flax Net, optimizer=chained_clipped", "clipping (none in A"),
    ("recipe Net, optimizer=adam | flax Net, optimizer=chained_falling", "learning rate by step"),
    ("recipe Net | flax Net, optimizer=two_rates", "rates_of_groups (none in A"),
]


# One of each kind: a constant, a layer, a shared weight, a loss, groups, a schedule, statistics.
HELD_CAUSES = (
    *("keras ordered | network ordered_eps", "keras loops | network LoopsLess"),
    *("keras tied | torch Untied", "keras net | recipe Net, loss=weighted"),
    "recipe Net, optimizer=two_rates | recipe Net, optimizer=two_other_rates",
    "keras net, optimizer=falling | recipe Net, optimizer=plain, schedule=falling_early",
    "network Basic | flax res_slower",
)


@pytest.mark.parametrize(("pair", "cause"), held(CAUSES, *HELD_CAUSES))
def test_the_one_difference_is_named_first(pair: str, cause: str, compared: Compared) -> None:
    found = styled(pair, compared)
    assert found.status == DIFFERENT
    assert cause in found.verdict
    others = {one.constant for one in found.differences} - {found.differences[0].constant}
    assert others <= {"offset", "center", "kind"}, others


@pytest.mark.extended
def test_what_is_not_read_is_named(compared: Compared) -> None:
    found = styled("keras net | torch Embedded", compared)
    assert found.status == UNKNOWN
    assert "places.weight: no operation that is read uses it" in found.verdict


@pytest.mark.parametrize(
    ("pair", "note"),
    [
        ("keras net | torch Automatic", "asks for torch.autocast to torch.bfloat16; here all"),
        ("torch Net | flax Typed", "asks for bfloat16; here all is float64"),
        (
            "keras Blocks | network Blocks",
            "Blocks has its own train_step, which is not compared",
        ),
        ("keras net, optimizer=stepped | network Lit", "Lit has its own training_step"),
    ],
)
def test_what_is_left_out_is_noted(pair: str, note: str, compared: Compared) -> None:
    found = styled(pair, compared)
    assert any(note in one for one in found.notes), found.notes


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("keras rows | torch Net", "GroupNormalization over axis 1; only the axis of the channels"),
        ("keras two_inputs | torch Net", "takes several inputs .* give a model of pictures"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(
    pair: str, message: str, compared: Compared
) -> None:
    with pytest.raises(PortError, match=message):
        styled(pair, compared)
