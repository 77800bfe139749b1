"""Pairs that a hunt found: clean ones are equal, and of others the one cause is named."""

import pytest

from benchmarks.port.compare import EQUAL, Found
from benchmarks.port.operation import PortError
from tests.benchmarks.port.conftest import Compared

pytestmark = [pytest.mark.slow, pytest.mark.extended]


def hunted(pair: str, compared: Compared) -> Found:
    """The comparison of a pair: `keras name, loss=other` and `torch name`, apart by a bar."""
    labels, parts = [], []
    for side in pair.split(" | "):
        label, *given = side.split(", ")
        framework, name = label.split()
        labels.append(f"hunted_{framework}.py:{name}")
        parts.append(dict(one.split("=") for one in given))
    return compared(*labels, tuple(parts), size=[8, 8, 3], given_weights=True)


EQUALS = [
    *("instance Instance", "cropped Cropped", "sliced Cropped", "padded Padded", "alpha Alpha"),
    *("resized Resized", "whole_norm WholeNorm", "six Six", "active Active", "gated Gated"),
    *("larger Larger", "always_dropped AlwaysDropped", "frozen_norm FrozenNorm"),
]


@pytest.mark.parametrize(
    "pair",
    [
        *("keras {} | torch {}".format(*names.split()) for names in EQUALS),
        "keras probable, loss=of_probabilities | torch Logs",
        "keras plain, loss=smooth | torch Net, loss=smooth",
        *(f"flax {name} | torch {name}" for name in ("Cropped", "Six", "Resized")),
    ],
)
def test_clean_pairs_are_equal(pair: str, compared: Compared) -> None:
    found = hunted(pair, compared)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert not found.unread


@pytest.mark.parametrize(
    ("pair", "cause"),
    [
        ("keras instance | torch InstanceWider", "epsilon"),
        ("keras cropped | torch CroppedOther", "cropping"),
        ("keras padded | torch PaddedOther", "padding"),
        ("keras dropped | torch AlwaysDropped", "drops_in_inference"),
        ("keras always_dropped | torch Dropped", "drops_in_inference"),
        ("keras six | torch SixNot", "function"),
        ("keras dilated | torch Undilated", "dilation"),
        ("keras active | torch Steeper", "beta"),
        ("keras penalized | torch Net", "regularizer"),
        ("keras normed | torch FrozenNorm", "by_running_statistics"),
        ("keras frozen_norm | torch Normed", "by_running_statistics"),
        ("keras normed | torch Frozen", "trained"),
        ("keras plain, loss=smooth | torch Net, loss=smoother", "label_smoothing"),
        ("keras plain | torch Net, loss=smooth", "label_smoothing"),
        ("flax Plain, loss=smooth | torch Net", "label_smoothing"),
        ("flax Plain, loss=summed | torch Net", "reduction"),
        (
            "keras plain, optimizer=clipped | torch Net, optimizer=still, clip=limit_norm",
            "clipping_epsilon",
        ),
        ("keras plain, optimizer=nadam | torch Net, optimizer=nadam", "momentum_decay"),
        ("keras plain, optimizer=falling | torch Net, schedule=halved", "velocity_form"),
        ("keras plain, optimizer=adamax | torch Net, optimizer=adamax", "epsilon_form"),
    ],
)
def test_the_one_cause_is_named(pair: str, cause: str, compared: Compared) -> None:
    found = hunted(pair, compared)
    assert {one.constant for one in found.differences} == {cause}, found.verdict


def test_decay_that_only_one_has_is_named_alone(compared: Compared) -> None:
    pair = "keras plain, optimizer=adam | torch Net, optimizer=decayed"
    assert hunted(pair, compared).differences[0].constant == "weight_decay"
    assert "undecayed" not in {one.constant for one in hunted(pair, compared).differences}


def test_a_computed_weight_is_named_with_its_remedy(compared: Compared) -> None:
    found = hunted("keras plain | torch WeightNormed", compared)
    assert found.verdict.startswith("could not be told: conv.parametrizations.weight")
    assert "conv with a computed kernel" in found.unread[0]
    assert any("remove_parametrizations" in note for note in found.notes)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("keras plain | torch Noised", r"hunted_torch.py:\d+: .* in training mode \(randn_like\)"),
        ("flax Branching | torch Net", r"hunted_flax.py:\d+: .* in training mode \(activation\)"),
        ("keras permuted | torch Flat", "is a Permute; leave it out"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(
    pair: str, message: str, compared: Compared
) -> None:
    with pytest.raises(PortError, match=message):
        hunted(pair, compared)
