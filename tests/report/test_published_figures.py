"""The published figures, drawn again from our runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from report.figures.drawing import draw
from report.section import Picture
from report.sections import published_figures
from results.studies.reported import Reported
from tests.helpers.reproduced import declared_of, frames_of, run_of, three


def four(**fields: Any) -> list:
    return [
        run_of("torch", seed, declared=declared_of(name), **fields)
        for name in ("phys449_c1_3way", "phys449_c2_3way", "phys449_c1_4way", "phys449_c2_4way")
        for seed in range(2)
    ]


def pictures(section) -> dict[str, Picture]:
    return {block.name: block for block in section.blocks if isinstance(block, Picture)}


def test_the_papers_figure_has_its_colours_and_lines(tmp_path) -> None:
    section = published_figures.figures(frames_of(tmp_path, *four()))
    assert section is not None
    (picture,) = pictures(section).values()
    axes = draw(picture).axes
    assert [one.get_title("left") for one in axes] == [
        *("3-way: accuracy", "3-way: loss", "4-way: accuracy", "4-way: loss")
    ]
    for one in axes:
        drawn = [(line.get_color(), line.get_linestyle()) for line in one.lines]
        assert drawn == [
            *(("#d62728", "--"), ("#d62728", "-"), ("#ff7f0e", "--"), ("#ff7f0e", "-"))
        ]
    assert "SCALED" not in draw(picture).texts[0].get_text()


def test_it_is_drawn_from_two_of_the_four_and_not_from_one(tmp_path) -> None:
    two = four()[:4]
    section = published_figures.figures(frames_of(tmp_path, *two))
    assert section is not None
    (picture,) = pictures(section).values()
    assert [len(axes.lines) for axes in draw(picture).axes] == [4, 4, 0, 0]
    assert published_figures.figures(frames_of(tmp_path / "b", *two[:2])) is None


def test_scaled_and_full_runs_are_in_figures_of_their_own_and_say_so(tmp_path) -> None:
    section = published_figures.figures(frames_of(tmp_path, *four(), *four(scale=0.1)))
    assert section is not None
    titles = [draw(one).texts[0].get_text() for one in pictures(section).values()]
    assert len(titles) == 2
    assert sum("SCALED x0.1" in title for title in titles) == 1


def test_unams_figures_show_the_reported_points_where_they_apply(tmp_path) -> None:
    reported = (
        Reported(metric="validation_loss", value=1.2273, epoch=1),
        Reported(metric="validation_loss", value=0.8434),
        Reported(metric="train_accuracy", value=0.8625),
    )
    declared = declared_of(reported=reported)
    full = frames_of(tmp_path, *three(declared=declared))
    section = published_figures.figures(full)
    assert section is not None
    found = pictures(section)
    assert set(found) == {"unam-curves-1-keras", "unam-confusion-1-keras"}
    loss, accuracy = draw(found["unam-curves-1-keras"]).axes

    def points(axes) -> list[tuple[float, float]]:
        crosses = [line for line in axes.lines if line.get_marker() == "X"]
        places = [place for one in crosses for place in zip(*one.get_data(), strict=True)]
        return [(float(x), float(y)) for x, y in places]

    assert points(loss) == [(1, 1.2273), (4, 0.8434)]
    assert points(accuracy) == [(4, 0.8625)]
    scaled = published_figures.figures(
        frames_of(tmp_path / "b", *three(declared=declared, scale=0.1))
    )
    assert scaled is not None
    for axes in draw(pictures(scaled)["unam-curves-1-keras"]).axes:
        assert points(axes) == []


def test_unams_matrix_has_the_true_class_on_x(tmp_path) -> None:
    executions = three()
    section = published_figures.figures(frames_of(tmp_path, *executions))
    assert section is not None
    (grid,) = pictures(section)["unam-confusion-1-keras"].shown.grids  # type: ignore[union-attr]
    assert (grid.down, grid.across) == ("predicted as", "labelled as")
    counts = np.zeros((10, 10))
    for _, _, predictions in executions:
        for row in predictions:
            counts[row["predicted"], row["label"]] += 1
    np.testing.assert_array_equal(grid.counts, counts)
    drawn = draw(pictures(section)["unam-confusion-1-keras"]).axes
    assert [axes.get_xlabel() for axes in drawn] == ["labelled as"] * 3
