"""A planned run: its identity, what it amounts to, what it may be compared with."""

from itertools import combinations

import msgspec
import pytest

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import PlannedRun
from benchmarks.config.runconfig import RunConfig, identity
from benchmarks.config.suite import Suite
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Adam, EarlyStopping, KeepBest, ReduceOnPlateau
from results.given import disagreements
from tests.helpers.planning import FRAMEWORKS, SIZES, VIEW, one, plan


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("framework", "jax"),
        ("seed", 1),
        ("repeat", 1),
        ("precision", "float64"),
        ("parity", "native"),
        ("tuning", "tuned"),
        ("device", "cuda"),
        ("threads", 1),
        ("feed", "streamed"),
        ("warmup_epochs", 1),
        ("side_by_side", 2),
        ("data", msgspec.structs.replace(VIEW, sha256="1" * 64)),
        ("data", msgspec.structs.replace(VIEW, label_key="class")),
        ("data", msgspec.structs.replace(VIEW, fraction=0.5)),
        ("data", msgspec.structs.replace(VIEW, augmentation="dihedral")),
        ("data", msgspec.structs.replace(VIEW, augmentation="crops40", cropped_from=76)),
    ],
)
def test_whatever_is_run_otherwise_has_another_id(field: str, value: object) -> None:
    changed = one(**{field: value})
    assert changed.run_id != one().run_id
    assert (changed.cell_id == one().cell_id) == (field in ("seed", "repeat"))


def test_the_feed_asked_for_reaches_the_backend_and_is_in_the_label() -> None:
    (run,) = plan(Suite(frameworks=("torch",), tuning=("tuned",), feed="streamed"))
    assert run.config.runtime().feed == "streamed"
    assert "streamed" in run.config.label()
    assert not {"feed", "warmup_epochs", "side_by_side"} & identity(one()).keys(), (
        "earlier runs keep their ids"
    )


def test_optimizer_settings_and_layers_enter_the_id() -> None:
    ids = set()
    for changes in (
        {},
        {"optimizer": Adam(learning_rate=2e-4)},
        {"optimizer": SGD()},
        {"optimizer": SGD(momentum=0.9)},
        {"epochs": 11},
        {"batch_size": (63,)},
        {"architectures": ("c2",)},
        {"split_seed": 1},
        {"test_fraction": 0.3},
        {"split_by": "copy"},
        {"test_copies": "all"},
        {"fold": "1/5"},
        {"fold": "2/5"},
    ):
        (run,) = plan(Suite(frameworks=("torch",), **changes))  # type: ignore[arg-type]
        ids.add(run.run_id)
    assert len(ids) == 13


def test_the_id_does_not_depend_on_titles_or_on_how_a_config_was_made() -> None:
    config = one()
    decoded = msgspec.json.decode(msgspec.json.encode(config), type=RunConfig)
    assert config.run_id == decoded.run_id
    assert decoded == config
    assert (config.architecture.title, config.architecture.source) == ("", "")


def test_a_field_added_later_keeps_the_ids_of_earlier_runs() -> None:
    class Later(RunConfig, frozen=True):
        checkpoint_every: int | None = None

    config = one()
    later = Later(**{field: getattr(config, field) for field in config.__struct_fields__})
    assert later.run_id == config.run_id
    assert msgspec.structs.replace(later, checkpoint_every=5).run_id != config.run_id


def test_native_parity_states_each_framework_s_own_defaults() -> None:
    runs = plan(Suite(frameworks=("keras", "torch"), parity=("native",)))
    epsilons = {run.config.framework: run.config.recipe.optimizer.epsilon for run in runs}  # type: ignore[union-attr]
    assert epsilons == {"keras": 1e-7, "torch": 1e-8}
    assert all(run.config.runtime().native_dropout for run in runs)
    hashes = {run.config.framework: run.config.architecture.sha256() for run in runs}
    assert hashes["keras"] != hashes["torch"]
    assert len({run.architecture_hash for run in runs}) == 1


def test_matched_parity_is_the_same_for_all_but_the_framework() -> None:
    runs = plan(Suite(frameworks=FRAMEWORKS))
    for first, second in combinations((run.config for run in runs), 2):
        assert msgspec.structs.replace(first, framework=second.framework) == second


def test_steps_and_operations() -> None:
    (run,) = plan(Suite(frameworks=("torch",), epochs=3, batch_size=(64,)))
    assert run.steps == 3 * 10
    network = run.network
    assert run.flops == 3 * 640 * network.flops(training=True) + (4 * 160 + 200) * network.flops()
    dropping = msgspec.structs.replace(run.config.recipe, partial_batch="drop", batch_size=100)
    config = msgspec.structs.replace(run.config, recipe=dropping)
    dropped = PlannedRun(config, SIZES)
    assert (dropped.images_per_epoch, dropped.steps) == (600, 3 * 6)


def counts(*images: int) -> dict[str, int]:
    return {f"class {number}": count for number, count in enumerate(images)}


def weighted(asked: object, *images: int) -> tuple[float, ...] | None:
    view = msgspec.structs.replace(VIEW, classes=3)
    suite = Suite(frameworks=("torch",), class_weights=asked)  # type: ignore[arg-type]
    runs = matrix(suite, view, SIZES, devices={}, threads=2, train_counts=counts(*images))
    return runs[0].config.recipe.class_weights


def test_balanced_class_weights_give_every_class_the_same_say() -> None:
    assert weighted("balanced", 6, 3, 1) == (10 / 18, 10 / 9, 10 / 3)
    assert weighted("balanced", 4, 4, 4) == (1, 1, 1)
    assert weighted([1, 0, 2.5]) == (1, 0, 2.5)
    assert weighted(None) is None


@pytest.mark.parametrize(
    ("asked", "images", "message"),
    [
        ([1.0, 2.0], (1, 1, 1), r"'class_weights': there are 2, and .* has 3 classes"),
        ("balanced", (4, 0, 2), r"'class_weights': .* none of class 1\. Give the weights"),
        ("balanced", (), r"'class_weights': .* training images of every class"),
    ],
)
def test_class_weights_that_do_not_fit_are_refused(asked, images, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        weighted(asked, *images)


def test_callbacks_are_of_the_recipe_the_identity_and_the_label() -> None:
    plain = one()
    changes = {
        "early_stopping": EarlyStopping(patience=3),
        "reduce_on_plateau": ReduceOnPlateau(),
        "keep_best": KeepBest(),
        "class_weights": [1.0] * 10,
    }
    found = {plain.cell_id}
    for field, value in changes.items():
        (run,) = plan(Suite(frameworks=("torch",), **{field: value}))  # type: ignore[arg-type]
        given = tuple(value) if isinstance(value, list) else value
        assert getattr(run.config.recipe, field) == given
        assert len(run.config.label().split()) == len(plain.label().split()) + 1
        found.add(run.cell_id)
    assert len(found) == 5
    assert set(plain.label().split()) == {"torch", "unam", "seed", "0"}


def row(framework: str, **changes: object) -> dict:
    shared = {
        "task_id": "one",
        "architecture": "unam",
        "seed": 0,
        "parity": "matched",
        "status": "ok",
    }
    hashes = {"split_hash": "a", "order_hash": "b", "weights_hash": "c", "masks_hash": "d"}
    return {"framework": framework, **shared, **hashes, **changes}


def test_runs_with_other_data_are_not_comparable() -> None:
    assert disagreements([row("keras"), row("torch")]) == []
    (found,) = disagreements([row("keras"), row("torch", order_hash="x")])
    assert "order_hash differs (keras b, torch x)" in found
    native = [row("keras", parity="native"), row("torch", parity="native", weights_hash="x")]
    assert disagreements(native) == []
    assert disagreements([row("keras"), row("torch", order_hash=None, status="error")]) == []
    assert disagreements([row("keras"), row("torch", order_hash="x", task_id="other")]) == []
    for parity in ("matched", "native"):
        copies = [row(name, parity=parity, augmentation_hash=name) for name in ("keras", "torch")]
        (found,) = disagreements(copies)
        assert "augmentation_hash differs (keras keras, torch torch)" in found


def test_nudged_repeats_are_runs_of_their_own_in_the_same_cell() -> None:
    plain = plan(Suite(frameworks=("torch",), processes=3))
    nudged = plan(Suite(frameworks=("torch",), processes=3, nudge_repeats=True))
    assert sorted(run.config.nudge_draw for run in nudged) == [0, 1, 2]
    assert all(run.config.nudge_draw == run.config.repeat for run in nudged)
    assert {run.cell_id for run in nudged} == {run.cell_id for run in plain}
    assert len({run.run_id for run in [*plain, *nudged]}) == 5  # repeat 0 is the same run
