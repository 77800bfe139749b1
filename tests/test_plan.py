"""The matrix of runs: identities, order, sizes."""

from collections import Counter
from itertools import combinations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import plan as plans
from benchmarks import suite as suites
from benchmarks.comparable import disagreements
from benchmarks.matrix import interleaved, matrix
from benchmarks.plan import DataView, PlannedRun, RunConfig, SplitSizes
from benchmarks.suite import Suite
from frameworks.recipe import SGD, Adam, EarlyStopping, KeepBest, ReduceOnPlateau
from frameworks.specification import SpecificationError

VIEW = DataView(
    dataset="demo",
    sha256="0" * 64,
    labels="native",
    channels="rgb",
    height=69,
    width=69,
    image_channels=3,
    classes=10,
)
SIZES = SplitSizes(train=640, validation=160, test=200)
FRAMEWORKS = ("keras", "torch", "jax", "keras@torch", "keras@jax")


def plan(suite: Suite, view: DataView = VIEW, sizes: SplitSizes = SIZES) -> list[PlannedRun]:
    return matrix(suite, view, sizes, devices={}, threads=2)


def one(**changes: object) -> RunConfig:
    (run,) = plan(Suite(frameworks=("torch",)))
    return msgspec.structs.replace(run.config, **changes)


suites_drawn = st.builds(
    Suite,
    frameworks=st.lists(st.sampled_from(FRAMEWORKS), min_size=1, max_size=4).map(tuple),
    architectures=st.lists(st.sampled_from(["unam", "c2"]), min_size=1, max_size=2).map(tuple),
    seeds=st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple),
    processes=st.integers(1, 3),
    parity=st.lists(st.sampled_from(["matched", "native"]), min_size=1, max_size=2).map(tuple),
    batch_size=st.lists(st.sampled_from([32, 64]), min_size=1, max_size=2).map(tuple),
)


@settings(deadline=None, max_examples=30)
@given(suites_drawn)
def test_the_matrix_holds_every_combination_once(suite: Suite) -> None:
    runs = plan(suite)
    expected = suite.processes
    for field in ("frameworks", "architectures", "seeds", "parity", "batch_size"):
        expected *= len(set(getattr(suite, field)))
    assert len(runs) == expected
    assert len({run.run_id for run in runs}) == expected
    assert [run.run_id for run in plan(suite)] == [run.run_id for run in runs]


def test_tunings_are_interleaved_within_a_block() -> None:
    suite = Suite(tuning=("idiomatic", "tuned"), processes=2)
    runs = plan(suite)
    for block in (runs[:6], runs[6:]):
        cells = {(run.config.framework, run.config.tuning) for run in block}
        assert cells == {(f, t) for f in suite.frameworks for t in suite.tuning}
    assert one(tuning="tuned").runtime().tuning == "tuned"
    assert one(tuning="tuned").cell_id != one().cell_id
    assert "tuned" in one(tuning="tuned").label()


def test_a_control_is_the_same_cell_once_more_in_every_block() -> None:
    suite = Suite(tuning=("idiomatic", "tuned"), processes=3, batch_size=(64, 32), control=True)
    runs = plan(suite)
    assert len(runs) == 3 * 2 * (6 + 1)
    assert len({run.run_id for run in runs}) == len(runs)
    again = [run for run in runs if run.config.control]
    assert len(again) == 6
    for run in again:
        (first,) = [
            other
            for other in runs
            if msgspec.structs.replace(other.config, control=True) == run.config and other != run
        ]
        assert first.cell_id == run.cell_id
        assert first.run_id != run.run_id
        assert abs(runs.index(first) - runs.index(run)) >= 3, "half a block apart"
        assert "A/A control" in run.config.label()
    for size in (32, 64):
        mine = [run.config for run in again if run.config.recipe.batch_size == size]
        assert len({(one.framework, one.tuning) for one in mine}) == 3, "each block another cell"
    sizes = [run.config.recipe.batch_size for run in runs]
    assert sizes == ([32] * 7 + [64] * 7) * 3, "small batches first"


@pytest.mark.parametrize(("width", "processes"), [(1, 3), (2, 4), (3, 6), (3, 7)])
def test_every_cell_has_its_turn_as_control(width: int, processes: int) -> None:
    suite = Suite(frameworks=FRAMEWORKS[:width], processes=processes, control=True, seeds=(1,))
    runs = plan(suite)
    turns = Counter(run.config.framework for run in runs if run.config.control)
    assert sum(turns.values()) == processes
    assert set(turns) == set(FRAMEWORKS[:width])
    assert max(turns.values()) - min(turns.values()) <= 1
    for number in range(processes):
        block = runs[number * (width + 1) : (number + 1) * (width + 1)]
        (again,) = [place for place, run in enumerate(block) if run.config.control]
        (first,) = [
            place
            for place, run in enumerate(block)
            if run.cell_id == block[again].cell_id and place != again
        ]
        assert abs(first - again) in ((width + 1) // 2, width + 1 - (width + 1) // 2)


def test_a_control_of_what_cannot_run_is_not_planned() -> None:
    suite = Suite(frameworks=("torch",), control=True)
    runs = matrix(suite, VIEW, SIZES, devices={}, threads=2, missing={"torch": "not installed"})
    assert [run.skip for run in runs] == ["not installed"]


@settings(deadline=None, max_examples=30)
@given(suites_drawn)
def test_cells_hold_the_seeds_and_repeats_of_one_configuration(suite: Suite) -> None:
    cells = Counter(run.cell_id for run in plan(suite))
    assert set(cells.values()) == {len(set(suite.seeds)) * suite.processes}


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 12))
def test_a_block_runs_every_framework_before_the_next_begins(width: int, blocks: int) -> None:
    suite = Suite(frameworks=FRAMEWORKS[:width], seeds=tuple(range(blocks)))
    runs = plan(suite)
    for number in range(blocks):
        block = runs[number * width : (number + 1) * width]
        assert {run.config.framework for run in block} == set(FRAMEWORKS[:width])
        assert len({run.config.seed for run in block}) == 1


def test_frameworks_take_turns_at_every_place() -> None:
    suite = Suite(frameworks=("keras", "torch", "jax"), seeds=tuple(range(6)))
    order = [run.config.framework for run in plan(suite)]
    blocks = [order[start : start + 3] for start in range(0, 18, 3)]
    for first, second in zip(blocks[::2], blocks[1::2], strict=True):
        assert second == first[::-1]
    for place in range(3):
        assert Counter(block[place] for block in blocks) == {"keras": 2, "torch": 2, "jax": 2}


def test_nothing_to_interleave() -> None:
    assert list(interleaved([])) == []


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
    identity = plans.identity(one())
    assert not {"feed", "warmup_epochs"} & identity.keys(), "earlier runs keep their ids"


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
    ):
        (run,) = plan(Suite(frameworks=("torch",), **changes))  # type: ignore[arg-type]
        ids.add(run.run_id)
    assert len(ids) == 11


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


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="batch size 641 is larger than the 640 training images"):
        plan(Suite(batch_size=(641,)))


def test_an_architecture_that_does_not_fit_names_the_layer() -> None:
    small = msgspec.structs.replace(VIEW, height=12, width=12)
    with pytest.raises(SpecificationError, match="runs out of pixels at layer"):
        plan(Suite(frameworks=("torch",)), view=small)


def test_crops_that_an_architecture_does_not_fit_name_the_crop_that_serves() -> None:
    small = msgspec.structs.replace(VIEW, height=12, width=12, cropped_from=69)
    with pytest.raises(SpecificationError, match="crop_size of 24 or more serves") as caught:
        plan(Suite(frameworks=("torch",)), view=small)
    assert "runs out of pixels at layer" in str(caught.value)
    plan(Suite(frameworks=("torch",)), view=msgspec.structs.replace(small, height=24, width=24))
    hopeless = msgspec.structs.replace(small, cropped_from=20)
    with pytest.raises(SpecificationError, match="no crop_size serves; augmentation dihedral"):
        plan(Suite(frameworks=("torch",)), view=hopeless)


@pytest.mark.parametrize("name", suites.available())
def test_shipped_suites_are_valid_and_can_be_planned(name: str) -> None:
    suite = suites.load(name)
    assert suite.name == name
    assert suite.description
    assert plan(suite)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epochs = [", "not valid TOML"),
        ("epoch = 3", "unknown field 'epoch' \\(did you mean 'epochs'\\?\\)"),
        ("epochs = 'many'", "field 'epochs': Expected `int`"),
        ("epochs = -1", "field 'epochs': is -1"),
        ("seeds = [0, -1]", "field 'seeds': has -1"),
        ("batch_size = 0", "field 'batch_size': is 0"),
        ("frameworks = []", "field 'frameworks': is empty"),
        ("parity = ['macthed']", "field 'parity.*macthed'.*did you mean 'matched'"),
        ("optimizer = {name = 'sgd', momntum = 0.9}", "field 'optimizer'.*`momntum`"),
        ("optimizer = {name = 'sgd', learning_rate = -0.1}", "learning_rate"),
        ("fraction = 0", "field 'fraction': is 0.*; above 0, and at most 1"),
        ("fraction = 1.5", "field 'fraction': is 1.5"),
        ("augmentation = 'crop40'", "field 'augmentation'.*did you mean 'crops40'"),
        ("split_by = 'galaxies'", "field 'split_by'.*did you mean 'galaxy'"),
        ("crop_size = 63", "field 'crop_size': is 63, and nothing is cropped; use augmentation"),
        ("augmentation = 'crops40'\ncrop_size = 0", "field 'crop_size': is 0"),
        ("feed = 'streamd'", "field 'feed'.*did you mean 'streamed'"),
        (
            "feed = 'streamed'",
            "field 'feed': is 'streamed', and idiomatic runs .* use tuning tuned",
        ),
        (
            "feed = 'staged'\ntuning = 'tuned'\naugmentation = 'dihedral'",
            "field 'feed': is 'staged', and augmentation dihedral .* use feed streamed",
        ),
        ("warmup_epochs = 2\nepochs = 2", "field 'warmup_epochs': is 2, of 2 epochs"),
        ("test_copies = 'all'", "field 'test_copies': is 'all', and there are no copies"),
    ],
)
def test_a_bad_suite_file_is_named_with_its_field(tmp_path, content: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(SpecificationError, match=message) as caught:
        suites.load(str(path))
    assert str(caught.value).startswith(str(path))


def test_paths_in_a_suite_are_relative_to_it(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('dataset = "data/a.h5"\narchitectures = ["unam", "nets/b.toml"]\nseeds = 4\n')
    suite = suites.load(str(path))
    assert suite.dataset == str(tmp_path / "data/a.h5")
    assert suite.architectures == ("unam", str(tmp_path / "nets/b.toml"))
    assert suite.seeds == (4,)


def test_unknown_suite_suggests_the_near_miss() -> None:
    with pytest.raises(SpecificationError, match="did you mean 'quick'"):
        suites.load("quik")


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


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"early_stopping": {"patience": -1}}, r"early_stopping.patience is -1; must be"),
        ({"early_stopping": {"patiens": 1}}, r"'early_stopping': .*did you mean 'patience'"),
        ({"early_stopping": {"monitor": "validation_los"}}, "did you mean 'validation_loss'"),
        ({"reduce_on_plateau": {"factor": 2.0}}, r"reduce_on_plateau.factor is 2.0; must be in"),
        ({"class_weights": "balancd"}, "'class_weights': .*did you mean 'balanced'"),
        ({"class_weights": [1, -1]}, "class_weights must be finite and not negative"),
        (
            {"early_stopping": {"restore_best": True}, "keep_best": {}},
            "early_stopping.restore_best and keep_best both",
        ),
    ],
)
def test_a_suite_with_bad_callbacks_names_the_file_and_the_field(table, message) -> None:
    with pytest.raises(SpecificationError, match=f"^mine.toml: .*{message}"):
        suites.convert(table, origin="mine.toml")


def row(framework: str, **changes: object) -> dict:
    shared = {"architecture": "unam", "seed": 0, "parity": "matched", "status": "ok"}
    hashes = {"split_hash": "a", "order_hash": "b", "weights_hash": "c", "masks_hash": "d"}
    return {"framework": framework, **shared, **hashes, **changes}


def test_runs_with_other_data_are_not_comparable() -> None:
    assert disagreements([row("keras"), row("torch")]) == []
    (found,) = disagreements([row("keras"), row("torch", order_hash="x")])
    assert "order_hash differs (keras b, torch x)" in found
    native = [row("keras", parity="native"), row("torch", parity="native", weights_hash="x")]
    assert disagreements(native) == []
    assert disagreements([row("keras"), row("torch", order_hash=None, status="error")]) == []
    for parity in ("matched", "native"):
        copies = [row(name, parity=parity, augmentation_hash=name) for name in ("keras", "torch")]
        (found,) = disagreements(copies)
        assert "augmentation_hash differs (keras keras, torch torch)" in found


def test_nudged_repeats_are_runs_of_their_own_in_the_same_cell() -> None:
    plain = plan(Suite(frameworks=("torch",), processes=3))
    nudged = plan(Suite(frameworks=("torch",), processes=3, nudge_repeats=True))
    assert sorted(run.config.nudge for run in nudged) == [0, 1, 2]
    assert all(run.config.nudge == run.config.repeat for run in nudged)
    assert {run.cell_id for run in nudged} == {run.cell_id for run in plain}
    assert len({run.run_id for run in [*plain, *nudged]}) == 5  # repeat 0 is the same run


def test_frameworks_own_weights_cannot_be_nudged() -> None:
    with pytest.raises(SpecificationError, match="nudge_repeats"):
        suites.convert({"nudge_repeats": True, "parity": "native"}, origin="my.toml")
