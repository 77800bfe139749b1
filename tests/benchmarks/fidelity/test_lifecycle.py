"""R5d and weights put in, with the NumPy reference as the framework: sound, and with each fault."""

from unittest.mock import patch

import msgspec
import numpy as np
import pytest

from benchmarks.fidelity.cases import lifecycle as lives
from benchmarks.fidelity.cases import starts
from benchmarks.fidelity.cases.case import Material
from benchmarks.fidelity.faults import lifecycle as faults
from benchmarks.fidelity.faults.catalog import MUTANTS
from benchmarks.fidelity.kills import matrix
from benchmarks.fidelity.measure.__main__ import measure
from benchmarks.fidelity.measure.collect import Trace, _of_reference
from benchmarks.fidelity.rungs.judge import Pair, judge_pair
from datasets.augment import AugmentedImages
from frameworks.numpy.backend import NumpyReference

# The reference draws no masks of its own.
FAULTS = [name for name in faults.FAULTS if name != "own_masks_again"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The reference's trace of a case, computed once."""
    folder, found = tmp_path_factory.mktemp("sound"), {}

    def of(case):
        if case.name not in found:
            arrays = measure(_of_reference(case), NumpyReference)
            found[case.name] = _trace(folder, "numpy", case, arrays)
        return found[case.name]

    return of


def _trace(folder, name, case, arrays):
    path = folder / f"{name}-{case.name}.npz"
    np.savez(path, **arrays)
    return Trace(name, case, path)


def mutant_of(fault):
    """One that has the fault, whatever the framework."""
    return next(one for one in MUTANTS.values() if fault in (one.fault, one.name))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_training_is_killed_by_a_case_that_passes_without(tmp_path, sound, fault):
    mutant = mutant_of(fault)
    (case,) = matrix.cases(mutant)
    right = _trace(tmp_path, "right", case, measure(case, NumpyReference))
    assert not [f for f in judge_pair(Pair(case, right, sound(case))) if f.status != "passed"]
    with patch.multiple(NumpyReference, **faults.FAULTS[fault](NumpyReference)):
        wrong = _trace(tmp_path, "wrong", case, measure(case, NumpyReference))
    failed = [f for f in judge_pair(Pair(case, wrong, sound(case))) if f.status == "failed"]
    assert failed
    assert mutant.rung in {f.rung for f in failed}


@pytest.mark.parametrize(
    "case", [one for one in lives.special() if "own_masks" in one.measure], ids=lambda one: one.name
)
def test_masks_that_a_framework_draws_are_read_off_its_steps(tmp_path, case):
    plain = msgspec.structs.replace(case, native=False)
    arrays = measure(plain, NumpyReference)
    material = Material(plain)
    for step in range(case.steps):
        mask = arrays[f"own/{step}/mask"]
        seen = np.resize(material.epoch(1)[step].images.reshape(1, -1) > 0, mask.shape)
        drawn = material.masks.draw(1, 1, step)["dropout1"]
        np.testing.assert_array_equal(mask[seen], drawn[seen])
    one = _trace(tmp_path, "torch", case, arrays)
    assert {f.status for f in judge_pair(Pair(case, one, one))} == {"passed"}
    again = {f"own/{step}/mask": arrays["own/0/mask"] for step in range(case.steps)}
    wrong = arrays | again | {"own/resumed": np.asarray(1.0), "own/logits": np.asarray(0.0)}
    failed = judge_pair(Pair(case, _trace(tmp_path, "jax", case, wrong), one))
    assert {f.metric for f in failed if f.status == "failed"} >= {
        "masks drawn twice",
        "mask of a random state put back",
        "logits without a mask",
    }


def test_initial_weights_that_a_framework_draws_have_the_spread_of_the_initialiser(tmp_path):
    (case,) = (one for one in lives.special() if "drawn" in one.measure)
    one, other = (
        _trace(tmp_path, name, case, measure(_drawn_from(case, seed), NumpyReference))
        for seed, name in enumerate(("torch", "jax"))
    )
    assert {f.status for f in judge_pair(Pair(case, one, other))} == {"passed"}
    weights = dict(other)
    for key, array in weights.items():
        grown = array * 1.2 if array.any() else array + 0.1
        wrong = _trace(tmp_path, "keras", case, weights | {key: grown})
        few = array.size < 1000 and array.any()
        (found,) = judge_pair(Pair(case, wrong, other))
        assert few or (found.status, found.where) == ("failed", key.removeprefix("drawn/"))


def _drawn_from(case, seed):
    return msgspec.structs.replace(case, native=False, seed=seed)


def test_weights_as_after_a_long_training_are_sure_and_away_from_0_and_1():
    case = lives.float32()[0]
    material = Material(case)
    weights = material.lived
    assert all(array.dtype == np.float32 for array in weights.values())
    for key in material.network.weight_shapes:
        if not key.endswith("/kernel"):
            assert not np.isin(weights[key], (0, 1)).any(), key
    exact = msgspec.structs.replace(case, precision="float64")
    logits = measure(exact, NumpyReference)["restored/fresh"]
    assert np.abs(logits).max() > starts.LARGEST_LOGIT / 2


def test_even_weights_make_ties_that_matter():
    case = next(one for one in lives.special() if one.start == "even")
    material = Material(case)
    first = material.network.layers[0].name
    out = measure(case, NumpyReference)[f"training/{first}"]
    windows = out[:, :8, :10].reshape(len(out), 4, 2, 5, 2, -1).swapaxes(2, 3)
    windows = windows.reshape(len(out), 4, 5, 4, -1)
    largest = windows.max(axis=3, keepdims=True)
    tied = ((windows == largest) & (largest > 0)).sum(axis=3) > 1
    assert tied.mean() > 0.1


def test_a_view_of_copies_is_trained_on_as_a_view():
    views = {case.augmentation: Material(case) for case in lives.lifecycles()}
    for augmentation in ("crops40", "dihedral"):
        images, labels = views[augmentation].data
        assert isinstance(images, AugmentedImages)
        assert len(images) == len(labels)
        assert images.shape[1:] == views[augmentation].case.input_shape
