"""Every figure of the report drawn with matplotlib, for papers: picked by a picture's kind."""

from collections.abc import Callable

import matplotlib as mpl
from matplotlib.figure import Figure

from report.figures import (
    attribution,
    benches,
    confusion,
    curves,
    examples,
    fidelity,
    outcome,
    published_figures,
    speed,
    style,
)
from report.section import Picture

_DRAWINGS: dict[str, Callable[..., Figure]] = {
    "attribution": attribution.attribution_figure,
    "confusion": confusion.matrix_figure,
    "curves": curves.curves_figure,
    "divergence": fidelity.divergence_figure,
    "examples": examples.examples_figure,
    "ladder": fidelity.ladder_figure,
    "outcome": outcome.outcome_figure,
    "paper": published_figures.paper_figure,
    "phases": speed.phases_figure,
    "recall": confusion.recall_figure,
    "rows": benches.rows_figure,
    "scaling": benches.scaling_figure,
    "throughput": speed.throughput_figure,
    "trial-confusion": published_figures.matrix_figure,
    "trial-curves": published_figures.curves_figure,
}


def draw(picture: Picture) -> Figure:
    """The figure of a picture, with title, legend and what was measured where."""
    with mpl.rc_context(style.RC):
        return _DRAWINGS[picture.kind](*picture.of)
