"""The matrix of runs: every combination once, in which order, and what cannot be planned."""

from collections import Counter
from itertools import combinations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.config.matrix import interleaved, matrix
from benchmarks.config.suite import Suite
from frameworks.spec.layers import BatchNorm
from frameworks.spec.reading import SpecificationError
from tests.helpers.planning import FRAMEWORKS, SIZES, VIEW, one, plan

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


@pytest.mark.parametrize("architectures", [("unam",), ("unam", "c2"), ("unam", "c2", "c1")])
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_each_of_a_pair_is_first_as_often_as_the_other(architectures, seeds) -> None:
    """Of every network by itself, however many take turns."""
    runs = plan(Suite(architectures=architectures, processes=4, seeds=seeds))
    for network in architectures:
        mine = [run.config for run in runs if run.config.architecture.name == network]
        blocks = [mine[place : place + 3] for place in range(0, len(mine), 3)]
        orders = [[config.framework for config in block] for block in blocks]
        assert len(orders) == 4 * len(seeds)
        for a, b in combinations(orders[0], 2):
            first = sum(order.index(a) < order.index(b) for order in orders)
            assert 2 * first == len(orders)


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


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="batch size 641 is larger than the 640 training images"):
        plan(Suite(batch_size=(641,)))


def test_an_architecture_that_does_not_fit_names_the_layer() -> None:
    small = msgspec.structs.replace(VIEW, height=12, width=12)
    with pytest.raises(SpecificationError, match="runs out of pixels at layer"):
        plan(Suite(frameworks=("torch",)), view=small)


def test_crops_that_an_architecture_does_not_fit_name_the_crop_that_serves() -> None:
    crops = msgspec.structs.replace(VIEW, augmentation="crops40", cropped_from=69)
    small = msgspec.structs.replace(crops, height=12, width=12)
    with pytest.raises(SpecificationError, match="crop_size of 24 or more serves") as caught:
        plan(Suite(frameworks=("torch",)), view=small)
    assert "runs out of pixels at layer" in str(caught.value)
    plan(Suite(frameworks=("torch",)), view=msgspec.structs.replace(small, height=24, width=24))
    hopeless = msgspec.structs.replace(small, cropped_from=20)
    with pytest.raises(SpecificationError, match="no crop_size serves; augmentation dihedral"):
        plan(Suite(frameworks=("torch",)), view=hopeless)
    drawn = msgspec.structs.replace(small, augmentation="none")
    with pytest.raises(SpecificationError, match="a crop of 24 or more serves; an augment without"):
        plan(Suite(frameworks=("torch",)), view=drawn)


@pytest.mark.parametrize(
    ("whose", "momentum", "epsilon"), [("torch", 0.9, 1e-5), ("jax", 0.99, 1e-5)]
)
def test_what_is_left_open_is_filled_as_asked_in_every_framework_alike(whose, momentum, epsilon):
    runs = plan(Suite(architectures=("c2",), frameworks=FRAMEWORKS, unstated=whose))
    filled = {(run.config.architecture, run.config.recipe.optimizer) for run in runs}
    assert len(filled) == 1
    network, optimizer = filled.pop()
    norm = next(layer for layer in network.layers if isinstance(layer, BatchNorm))
    assert (norm.momentum, norm.epsilon, optimizer.epsilon) == (momentum, epsilon, 1e-8)
    # Keras has no form of these
    assert (norm.running_variance, norm.variance) == ("biased", "two_pass")
