"""Label views: the published groupings, and what cannot be grouped."""

import numpy as np
import pytest

from datasets.labels import (
    GALAXY10,
    GALAXY10_DECALS,
    GALAXY10_GROUPS,
    HUBBLE_GROUPS,
    VIEWS,
    view_labels,
)

GALAXY10_COUNTS = (3461, 6997, 6292, 349, 1534, 17, 589, 1121, 906, 519)


@pytest.mark.parametrize(
    ("view", "names", "counts"),
    [
        ("4way", ("E", "S0", "Sp", "Irr"), [13_638, 2_140, 2_546, 3_461]),
        ("3way", ("E", "S0", "Sp"), [13_638, 2_140, 6_007]),
    ],
)
def test_galaxy10_gives_the_counts_that_were_printed(
    view: str, names: tuple[str, ...], counts: list[int]
) -> None:
    native = np.repeat(np.arange(10, dtype=np.uint8), GALAXY10_COUNTS)
    seen = view_labels(native, view, class_names=GALAXY10)
    assert seen.class_names == names
    assert np.bincount(seen.labels).tolist() == counts
    assert seen.labels.dtype == np.int64
    np.testing.assert_array_equal(seen.rows, np.arange(len(native)))


def test_every_galaxy10_class_is_in_one_group() -> None:
    for groups in GALAXY10_GROUPS.values():
        assert sorted(sum(groups.values(), ())) == list(range(10))


def test_names_agree_with_the_groups() -> None:
    """Guards against a slip in either table: the names say what the groups say."""
    groups = GALAXY10_GROUPS["4way"]
    assert all("Smooth" in GALAXY10[label] for label in groups["E"])
    assert all("Edge-on" in GALAXY10[label] for label in groups["S0"])
    assert all(GALAXY10[label].endswith("Spiral") for label in groups["Sp"])
    assert GALAXY10[groups["Irr"][0]] == "Disk, Face-on, No Spiral"


def test_native_keeps_labels_and_names() -> None:
    seen = view_labels(np.array([2, 0, 1], np.uint8), "native", class_names=("a", "b", "c"))
    assert seen.labels.tolist() == [2, 0, 1]
    assert seen.class_names == ("a", "b", "c")


@pytest.mark.parametrize("view", ["hubble", "4way"])
def test_hubble_types_are_grouped_as_published(view: str) -> None:
    t_type = np.array([-6, -5, -4, -3, 0, 1, 9, 10, 11, 99], np.int8)
    seen = view_labels(np.zeros(10, int), view, class_names=("a",), t_type=t_type)
    assert seen.class_names == ("E", "S0", "Sp", "Irr")
    assert seen.labels.tolist() == [3, 0, 3, 1, 1, 2, 2, 3, 3, 3]
    assert seen.note == (
        "By the published rule galaxies of T type -6 (1), -4 (1), 11 (1), 99 (1) count as Irr, "
        "like type 10."
    )


def test_three_way_by_hubble_type_leaves_irregulars_out() -> None:
    t_type = np.array([10, -5, 4, 99, -1])
    seen = view_labels(np.arange(5), "3way", class_names=("a",) * 5, t_type=t_type)
    assert seen.class_names == ("E", "S0", "Sp")
    assert seen.labels.tolist() == [0, 2, 1]
    assert seen.rows.tolist() == [1, 2, 4]
    assert seen.note.endswith("T type 99 (1) count as Irr, like type 10, and are left out.")
    assert view_labels(np.arange(2), "3way", class_names=("a", "b"), t_type=t_type[:2]).note == ""


def test_no_hubble_type_is_in_two_groups() -> None:
    types = sum(HUBBLE_GROUPS.values(), ())
    assert len(set(types)) == len(types)


@pytest.mark.parametrize(
    ("view", "class_names", "message"),
    [
        ("5way", GALAXY10, r"unknown view '5way' .*Known: native, 4way"),
        ("hubble", GALAXY10, "f.h5: labels 'hubble' need a dataset 't_type'"),
        ("4way", ("a", "b"), "f.h5: .* ten classes of Galaxy10 SDSS, and this is a file of 2"),
        ("3way", GALAXY10_DECALS, "this is Galaxy10 DECaLS"),
    ],
)
def test_views_that_cannot_be_had(view: str, class_names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        view_labels(np.zeros(3, int), view, class_names=class_names, where="f.h5")


def test_views_are_all_reachable() -> None:
    for view in VIEWS:
        seen = view_labels(np.arange(10), view, class_names=GALAXY10, t_type=np.arange(-5, 5))
        assert seen.labels.max() < len(seen.class_names)
