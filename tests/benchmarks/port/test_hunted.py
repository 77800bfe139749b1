"""Pairs that a hunt found: clean ones are equal, and of others the one cause is named."""

from pathlib import Path

import pytest

from benchmarks.port.compare import EQUAL, Found
from benchmarks.port.operation import PortError
from benchmarks.port.write import written
from tests.benchmarks.port.conftest import Compared, held

pytestmark = pytest.mark.slow


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
    *("permuted Flat", "larger Larger", "always_dropped AlwaysDropped", "frozen_norm FrozenNorm"),
]


CLEAN = [
    *("keras {} | torch {}".format(*names.split()) for names in EQUALS),
    "keras probable, loss=of_probabilities | torch Logs",
    "keras plain, loss=smooth | torch Net, loss=smooth",
    *(f"flax {name} | torch {name}" for name in ("Cropped", "Six", "Resized")),
    "keras plain, optimizer=lion | torch Net, optimizer=lion, accumulation=two",
    "flax Plain, optimizer=lion | torch Net, optimizer=lion, accumulation=two",
    "keras plain, optimizer=averaged | torch Net, average_weights=averages",
    "keras plain, optimizer=scaled | torch Net, loss_scale=scaler",
    "flax Plain, loss_scale=scaler | torch Net, loss_scale=scaler",
]


@pytest.mark.parametrize(
    "pair",
    held(
        CLEAN,
        "keras instance | torch Instance",
        "keras plain, optimizer=averaged | torch Net, average_weights=averages",
    ),
)
def test_clean_pairs_are_equal(pair: str, compared: Compared) -> None:
    found = hunted(pair, compared)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert not found.unread


CAUSES = [
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
    ("keras plain, optimizer=lion | torch Net, optimizer=lion", "accumulation"),
    (
        "keras plain, optimizer=lion | torch Net, optimizer=lion, accumulation=three",
        "accumulation",
    ),
    (
        "keras plain, optimizer=overwritten | torch Net, average_weights=averages",
        "average_overwrite_frequency",
    ),
    ("keras plain, optimizer=averaged | torch Net", "average_weights"),
    (
        "keras plain, optimizer=grouped | torch Net, optimizer=lion, accumulation=two, "
        "average_weights=averages",
        "average_each_batch",
    ),
    ("keras plain | torch Net, average_weights=mean_of_steps", "average_weights"),
    (
        "keras plain, optimizer=averaged | torch Net, average_weights=averages_of_all",
        "average_statistics",
    ),
    (
        "flax Plain, average_weights=averages | torch Net, average_weights=averages",
        "average_start",
    ),
    ("keras plain, optimizer=adamax | torch Net, optimizer=adamax", "epsilon_form"),
]


@pytest.mark.parametrize(
    ("pair", "cause"),
    held(
        CAUSES,
        "keras dropped | torch AlwaysDropped",
        "keras plain | torch Net, loss=smooth",
        "keras plain, optimizer=clipped | torch Net, optimizer=still, clip=limit_norm",
    ),
)
def test_the_one_cause_is_named(pair: str, cause: str, compared: Compared) -> None:
    found = hunted(pair, compared)
    assert {one.constant for one in found.differences} == {cause}, found.verdict


def test_decay_that_only_one_has_is_named_alone(compared: Compared) -> None:
    pair = "keras plain, optimizer=adam | torch Net, optimizer=decayed"
    assert hunted(pair, compared).differences[0].constant == "weight_decay"
    assert "undecayed" not in {one.constant for one in hunted(pair, compared).differences}


@pytest.mark.parametrize(
    ("pair", "cause"),
    [
        ("keras plain, optimizer=scaled | torch Net", "loss_scale"),
        ("keras plain, optimizer=scaled | torch Net, loss_scale=switched_off", "loss_scale"),
        ("keras plain, optimizer=fixed | torch Net, loss_scale=scaler", "loss_scale_interval"),
    ],
)
def test_a_scaled_loss_is_named_and_moves_nothing(
    pair: str, cause: str, compared: Compared
) -> None:
    found = hunted(pair, compared)
    assert found.status == EQUAL, found.verdict
    assert {one.constant for one in found.without} == {cause}


def test_an_average_of_updates_is_none_of_the_weights(compared: Compared) -> None:
    found = hunted("flax Plain, optimizer=of_updates | torch Net, optimizer=still", compared)
    assert found.listings[0].recipe.optimizer["kind"].endswith("updates (optax.ema)")
    assert found.differences[0].constant == "kind"


@pytest.mark.parametrize("optimizer", ["lion", "averaged", "scaled"])
def test_what_is_written_is_the_program(optimizer: str, compared: Compared, tmp_path: Path) -> None:
    path, label = tmp_path / "plain.toml", "hunted_keras.py:plain"
    path.write_text(
        written(
            hunted(f"keras plain, optimizer={optimizer} | torch Net", compared).listings[0], label
        )
    )
    parts = ({}, {"optimizer": optimizer})
    found = compared(str(path), label, parts, size=[8, 8, 3], given_weights=True)
    assert found.status == EQUAL, found.verdict
    assert not {one.constant for one in found.without} & {"loss_scale", "loss_scale_interval"}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("keras plain | torch SpectralNormed", "conv has spectral_norm, .*remove_parametrizations"),
        ("keras plain | torch Noised", r"hunted_torch.py:\d+: .* in training mode \(randn_like\)"),
        ("flax Branching | torch Net", r"hunted_flax.py:\d+: .* in training mode \(activation\)"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(
    pair: str, message: str, compared: Compared
) -> None:
    with pytest.raises(PortError, match=message):
        hunted(pair, compared)
