"""Style of figures: a colour for each framework, which the colour-blind can tell apart."""

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from results import writer
from results.views.looks import plain

INK = "#1f2328"
MUTED = "#5c6470"
FAINT = "#d5d9de"
WARNING = "#b42318"

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # text stays text
}
DPI = 220


def figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, laid out so that nothing overlaps."""
    made = Figure(figsize=(width, height), layout="constrained")
    _layout(made).set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.04)
    return made


def finish(
    made: Figure,
    title: str,
    footer: str,
    *,
    demo: bool = False,
    legend: Sequence[Artist] = (),
) -> Figure:
    """Title and legend above, what was measured and where below; demo data is marked."""
    width, height = made.get_size_inches()
    lines = textwrap.wrap(footer, int(width * 19))
    longest = max((len(str(mark.get_label())) for mark in legend), default=0)
    across = max(1, min(8, int(width * 17 / (longest + 7))))
    legend_rows = math.ceil(len(legend) / across)
    head = 0.34 + 0.18 * legend_rows + (0.04 if legend else 0.0)
    foot = 0.1 + 0.125 * len(lines)
    _layout(made).set(rect=(0, foot / height, 1, 1 - (head + foot) / height))
    left = 0.08 / width
    mark = "DEMO DATA — " if demo else ""
    made.text(
        left,
        1 - 0.09 / height,
        mark + plain(title),
        ha="left",
        va="top",
        fontsize=10,
        fontweight="bold",
    )
    made.text(
        left,
        0.06 / height,
        plain("\n".join(lines), longest=int(width * 19)),
        ha="left",
        va="bottom",
        fontsize=6.5,
        color=MUTED,
        linespacing=1.3,
    )
    if legend:
        made.legend(
            handles=legend,
            loc="upper left",
            bbox_to_anchor=(left, 1 - 0.3 / height),
            borderaxespad=0,
            borderpad=0,
            ncols=math.ceil(len(legend) / legend_rows),
            handlelength=1.8,
            columnspacing=1.6,
        )
    return made


def _layout(made: Figure) -> ConstrainedLayoutEngine:
    engine = made.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    return engine


def mark_refused(axes: Axes, refusal: str) -> None:
    """Say beside the panel's title that its frameworks must not be compared."""
    if refusal:
        axes.set_title("comparison refused", loc="right", fontsize=7.5, color=WARNING)


def line_widths(number: int, *, nested: bool) -> list[float]:
    """Widths of lines; nested ones may lie on one another: the first shows around the last."""
    if number == 1 or not nested:
        return [1.8] * number
    return [4.2 - (4.2 - 1.2) * index / (number - 1) for index in range(number)]


def save(made: Figure, *paths: Path) -> None:
    """Write a figure to each of the paths, by their endings, each whole or not at all."""
    for path in paths:
        content = io.BytesIO()
        metadata: dict[str, Any] = {"CreationDate": None} if path.suffix == ".pdf" else {}
        made.savefig(content, format=path.suffix[1:], dpi=DPI, metadata=metadata)
        made.set_layout_engine("none")  # laid out by now; not to be done again
        writer.write(path, content.getvalue())
