"""Many processes append to one store while it is packed: no row is lost, none doubled."""

import pytest

from tests.helpers.many_writers import grow


@pytest.mark.parametrize("packing", [False, True])
def test_no_row_is_lost_and_none_doubled(tmp_path, packing: bool) -> None:
    found = grow(tmp_path / "runs", 120, 6, packing=packing)
    assert (found.lost, found.doubled) == (0, 0)
    assert found.packed >= 120


@pytest.mark.slow
def test_ten_thousand_rows_by_fifty_processes(tmp_path) -> None:
    found = grow(tmp_path / "runs", 10_000, 50)
    assert (found.lost, found.doubled) == (0, 0)
    assert found.packed >= 10_000
