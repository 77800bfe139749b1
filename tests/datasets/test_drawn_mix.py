"""Mixup and CutMix: pictures, targets, and what they are drawn from."""

import numpy as np
import pytest
from scipy import stats

from datasets.drawn.draws import PLACES, uniforms
from datasets.drawn.images import Drawing
from datasets.drawn.mix import mixes
from datasets.drawn.pixels import augmented
from datasets.drawn.settings import Augment
from frameworks.spec.losses import BinaryCrossEntropy, CrossEntropy
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from tests.helpers.drawing import pictures

POOL = np.array([1, 4, 7])
ROWS = np.array([0, 2, 3, 5, 6, 8])


def drawing(settings: Augment, seed: int = 3) -> Drawing:
    return Drawing(settings, seed, np.arange(9) + 100, pool=POOL)


def test_pictures_laid_over_each_other_have_the_shares_of_their_targets() -> None:
    settings = Augment(mixup=0.4, flip="both")
    one, base = drawing(settings), pictures(9)
    plain = augmented(base, one.galaxies, settings, 3, 2)
    made = one.pictures(base, ROWS, 2)
    towards = one.targets(np.arange(9), 9, 2, (9, 9))
    for row, picture in zip(ROWS, made, strict=True):
        (number,) = uniforms(3, 2, [row + 100])
        share = stats.beta(0.4, 0.4).ppf(number[PLACES["share"]])
        partner = POOL[int(3 * number[PLACES["partner"]])]
        mixed = share * plain[row] + (1 - share) * plain[partner]
        assert np.abs(picture - mixed).max() <= 0.5 + 1e-3
        expected = share * np.eye(9)[row] + (1 - share) * np.eye(9)[partner]
        np.testing.assert_allclose(towards[row], expected, atol=1e-6)


def test_a_part_that_is_cut_is_the_other_s_and_so_is_its_share() -> None:
    one, base = drawing(Augment(cutmix=1.0)), pictures(9, 10, 14)
    made, towards = one.pictures(base, ROWS, 1), one.targets(np.arange(9), 9, 1, (10, 14))
    whole = 0
    for row, picture in zip(ROWS, made, strict=True):
        other = (picture != base[row]).any(axis=2)
        (partner,) = set(np.flatnonzero(towards[row])) - {row} or {row}
        rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.testing.assert_array_equal(picture[box], base[partner][box])
        assert towards[row, row] == pytest.approx(1 - other.mean(), abs=1e-6)
        whole += other[box].all()
    assert whole == len(ROWS)


def test_shares_are_of_the_beta_distribution_and_partners_of_the_pool() -> None:
    settings = Augment(mixup=0.4, cutmix=1.0)
    found = mixes(settings, 0, 1, np.arange(4000), POOL, (40, 40))
    cut = found.boxes[:, 1] > found.boxes[:, 0]
    assert abs(cut.mean() - 0.5) < 0.04
    assert stats.kstest(found.shares[~cut & (found.shares < 1)], stats.beta(0.4, 0.4).cdf)[1] > 1e-3
    assert set(found.partners.tolist()) == set(POOL.tolist())
    assert found.shares[cut].min() < 0.1


def test_votes_and_a_yes_or_no_are_mixed_too() -> None:
    one = drawing(Augment(mixup=1.0))
    votes = np.random.default_rng(0).random((9, 3)).astype(np.float32)
    mixed = one.targets(votes, 3, 1, (9, 9))
    assert (mixed.min(0) >= votes.min(0) - 1e-6).all()
    answers = one.targets(np.arange(9) % 2, 1, 1, (9, 9))
    assert answers.shape == (9, 1)
    assert ((answers > 0) & (answers < 1)).any()
    plain = Drawing(Augment(flip="both"), 3, np.arange(9))
    assert plain.targets(votes, 3, 1, (9, 9)) is votes


def test_training_is_towards_shares_and_what_has_no_share_is_refused() -> None:
    mixed = Augment(mixup=0.2)
    loss = CrossEntropy(label_smoothing=0.1)
    assert Recipe(augment=mixed, loss=loss).trained_loss == CrossEntropy(
        label_smoothing=0.1, targets="votes"
    )
    assert Recipe(augment=mixed, loss=BinaryCrossEntropy()).trained_loss.targets == "votes"
    assert Recipe(augment=Augment(flip="both"), loss=loss).trained_loss == loss
    for fields in ({"class_weights": (1.0, 2.0)}, {"steps_per_epoch": 3}):
        with pytest.raises(SpecificationError, match=r"augment mixes galaxies, and .* is stated"):
            Recipe(augment=mixed, **fields)
    with pytest.raises(ValueError, match=r"mixup is -1; from 0 to 100, such as 0\.2"):
        Augment(mixup=-1)
