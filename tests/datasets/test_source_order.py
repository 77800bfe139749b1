"""Order of class folders, shares of votes, and the report of a source."""

from pathlib import Path

import h5py
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasets.__main__ import main
from datasets.convert.bad import Bad
from datasets.convert.classes import in_order
from datasets.convert.votes import counted
from tests.helpers import sources
from tests.helpers.sources import COUNT, IMAGES, LABELS, NAMES, png, taken


def test_class_folders_are_in_the_order_of_their_numbers(tmp_path: Path, capsys) -> None:
    folder = sources.class_folders(tmp_path)
    for place, name in enumerate(("10", "2", "1")):
        (folder / "galaxies" / NAMES[place]).rename(folder / "galaxies" / name)
    data = taken(folder, tmp_path)
    assert data.class_names == ("1", "2", "10") or data.class_names == (
        "class 1",
        "class 2",
        "class 10",
    )
    assert np.bincount(data.labels).tolist() == [20, 20, 20]
    np.testing.assert_array_equal(data.images[data.labels == 2], IMAGES[LABELS == 0])


@given(st.lists(st.integers(0, 10**6), unique=True), st.sampled_from(["", "class ", "T"]))
def test_names_with_numbers_are_sorted_as_numbers(numbers: list[int], before: str) -> None:
    names = [f"{before}{number}" for number in numbers]
    assert in_order(names) == [f"{before}{number}" for number in sorted(numbers)]


@given(st.data())
def test_counts_of_votes_become_shares_of_their_question(data: st.DataObject) -> None:
    counts = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 40), min_size=5, max_size=5), min_size=1))
    )
    counts[0, 0] = 7  # else they might be shares
    names = ["a.1", "a.2", "a.3", "b.1", "b.2"]
    bad = Bad()
    found = counted(counts.astype(float), names, [f"{row}" for row in range(len(counts))], bad)
    for row, votes in enumerate(counts):
        first, second = votes[:3], votes[3:]
        assert bad.rows(len(counts))[row] == (first.sum() == 0)
        naive = [*(first / max(first.sum(), 1)), *(second / max(second.sum(), 1))]
        np.testing.assert_allclose(found.shares[row], naive, atol=1e-6)
        assert found.labels[row] == first.argmax()
    assert found.class_names == ("a.1", "a.2", "a.3")


def test_a_report_has_all_that_is_wrong(tmp_path: Path, capsys) -> None:
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.where(LABELS[:, None, None, None] == 1, 0, IMAGES).astype(np.uint8)
        file["ans"] = LABELS
        file["groups"] = np.arange(COUNT) / 2
        file["votes"] = np.full((COUNT, 2), 3.0)
        file["t_type"] = np.zeros(3, int)
    assert main(["check", str(path)]) == 2
    told = capsys.readouterr().out
    assert told.count("wrong: ") == 4
    for what in (
        "'groups' has 0.5 in row 1",
        "'votes': 60 rows not of shares",
        "'t_type' is int64",
    ):
        assert f"wrong: {what}" in told
    assert "20 of 60 pictures are blank" in told
    assert told.endswith("mine.h5: 4 things wrong\n")


def test_a_published_split_with_copies_across_is_a_leak(tmp_path: Path, capsys) -> None:
    folder = sources.split_folders(tmp_path)
    (folder / "train" / "elliptical" / "zzz.png").write_bytes(png(0))
    assert main(["check", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "2 pictures of 1 galaxy have the same pixels" in told
    assert "2 pictures of it with a copy in another part: a leak" in told
