"""Shares of votes beside the labels: read with the galaxies they belong to."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from datasets import catalog

COUNT = 30
X = np.random.default_rng(3).integers(0, 256, (COUNT, 6, 6, 3)).astype(np.uint8)
Y = np.arange(COUNT) % 3
VOTES = np.random.default_rng(4).dirichlet((1, 1, 1, 1), COUNT)


def write(path: Path, votes: np.ndarray, names: list[str] | None = None) -> Path:
    with h5py.File(path, "w") as file:
        file["images"], file["ans"], file["votes"] = X, Y, votes
        file["t_type"] = np.where(Y == 2, 10, Y)
        if names is not None:
            file["votes"].attrs["vote_names"] = names
    return path


def test_votes_come_with_their_galaxies(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.h5", VOTES, ["smooth", "disk", "star", "odd"])
    data = catalog.load(path)
    assert data.votes is not None
    assert data.votes.dtype == np.float32
    np.testing.assert_array_equal(data.votes, VOTES.astype(np.float32))
    assert data.vote_names == ("smooth", "disk", "star", "odd")
    part = catalog.load(path, fraction=0.5)
    assert part.votes is not None
    np.testing.assert_array_equal(part.votes, data.votes[part.rows])
    some = catalog.load(path, labels="3way")  # leaves the irregulars out
    np.testing.assert_array_equal(some.votes, data.votes[Y != 2])
    assert catalog.load(write(tmp_path / "b.h5", VOTES)).vote_names[3] == "vote 3"


@pytest.mark.parametrize("votes", [VOTES[:, 0], VOTES[1:], (100 * VOTES).astype(int)])
def test_what_is_no_table_of_shares_is_not_taken_for_votes(
    tmp_path: Path, votes: np.ndarray
) -> None:
    data = catalog.load(write(tmp_path / "mine.h5", votes))
    assert (data.votes, data.vote_names) == (None, ())


def test_names_must_fit_their_columns(tmp_path: Path) -> None:
    for names in (["a", "b", "c"], ["a", "b", "c", "c"]):
        path = write(tmp_path / "mine.h5", VOTES, names)
        with pytest.raises(ValueError, match=r"mine\.h5: 'votes' has 4 columns, and 3 different"):
            catalog.load(path)
