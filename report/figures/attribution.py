"""Figure of each default's worth, for a paper."""

from math import ceil, floor, log10

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from report.figures import style
from report.sections.attribution import worths
from results.studies.attribution import EARLY_STEPS, Attribution
from results.views.looks import plain


def attribution_figure(found: Attribution, title: str, footer: str, demo: bool) -> Figure:
    """A row for each default by its worth, then what they do together, in all, and the rest."""
    rows = worths(found)
    made = style.figure(7.6, 1.6 + 0.26 * len(rows))
    left, right = made.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    left.axvline(0, color=style.MUTED, linewidth=0.7)
    for place, (_, worth) in enumerate(rows):
        single = place < len(found.factors)
        colour = "#0072B2" if single else style.INK
        left.plot([100 * worth.low, 100 * worth.high], [place] * 2, color=colour, linewidth=1.8)
        left.plot(100 * worth.mean, place, "o", color=colour, markersize=4.5)
    for place, factor in enumerate(found.factors):
        for worth, marker in ((factor.on, ">"), (factor.off, "<")):
            left.plot(
                100 * worth.mean,
                place,
                marker,
                markerfacecolor="white",
                markeredgecolor="#0072B2",
                markersize=4.5,
                zorder=3 if marker == ">" else 4,
            )
        if factor.early > 0:
            right.plot(factor.early, place, "s", color="#0072B2", markersize=4.5)
        else:
            right.annotate(
                "not at all",
                (0.03, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
                color=style.MUTED,
            )
    left.axhline(len(found.factors) - 0.5, color=style.FAINT, linewidth=0.8)
    left.set_yticks(range(len(rows)), [plain(name) for name, _ in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    left.set_xlabel("worth, points of test accuracy")
    moved = [factor.early for factor in found.factors if factor.early > 0]
    right.set_xscale("log")
    right.xaxis.set_minor_formatter(NullFormatter())
    if moved:  # whole decades: their labels do not run into each other
        low = floor(log10(min(moved)))
        right.set_xlim(10**low, 10 ** max(ceil(log10(max(moved))), low + 1))
    right.set_xlabel(f"loss moved, first {EARLY_STEPS} steps")
    for axes in (left, right):
        axes.grid(axis="x")
    legend = [
        Line2D([], [], color="#0072B2", marker="o", label="mean of both, 95 %"),
        Line2D([], [], ls="none", color="#0072B2", marker=">", mfc="white", label="switched on"),
        Line2D([], [], ls="none", color="#0072B2", marker="<", mfc="white", label="switched off"),
    ]
    return style.finish(made, title, footer, legend=legend, demo=demo)
