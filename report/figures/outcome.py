"""Equivalence intervals over their margin drawn for a paper."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from report.figures import style
from report.sections.outcome import COLOURS, measured, test_of
from results.stats.equivalence import Equivalence
from results.stats.vocabulary import UNDECIDED
from results.studies.outcome import Outcome
from results.views.looks import plain
from results.views.views import View


def outcome_figure(view: View, compared: list[tuple[str, Outcome]]) -> Figure:
    """A row for each pair, a panel for each measure: seeds, mean and interval over the margin."""
    made = style.figure(8.6, 1.35 + 0.42 * len(compared))
    measures = measured(compared)
    panels = made.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for axes, (name, unit, scale, _, margin) in zip(panels, measures, strict=True):
        axes.axvspan(-scale * margin, scale * margin, color=style.FAINT, alpha=0.6, lw=0)
        axes.axvline(0, color=style.MUTED, linewidth=0.7)
        reach = 1.5 * scale * margin
        for place, (_, outcome) in enumerate(compared):
            values = [scale * value for value in getattr(outcome, f"{name}_differences")]
            test = test_of(outcome, name)
            if test is None:
                continue
            _draw(axes, place, values, test, scale)
            reach = max(reach, *(1.1 * abs(value) for value in values))
        limit = max(reach, min(12 * scale * margin, _widest(compared, name, scale)))
        axes.set_xlim(-limit, limit)
        axes.set_xlabel(f"difference, {unit}")
        axes.set_title(f"test {name.replace('_', '-')}")
    labels = [
        plain(f"{name}: {view.looks[one.a].name} less {view.looks[one.b].name}")
        for name, one in compared
    ]
    panels[0].set_yticks(range(len(compared)), labels)
    panels[0].set_ylim(len(compared) - 0.4, -0.6)
    legend = [
        Patch(color=style.FAINT, label="margin"),
        *(
            Line2D([], [], color=colour, marker="o", label=verdict)
            for verdict, colour in COLOURS.items()
        ),
        Line2D([], [], color=style.MUTED, marker="o", markerfacecolor="white", label=UNDECIDED),
    ]
    return style.finish(
        made,
        "Equal within the margin? Mean difference with its 90 % interval",
        f"{view.footer}  ·  small dots: seeds",
        demo=view.demo,
        legend=legend,
    )


def _draw(axes: Axes, place: int, values: list[float], test: Equivalence, scale: float) -> None:
    colour = COLOURS.get(test.verdict, style.MUTED)
    axes.plot(values, [place + 0.22] * len(values), "o", color=style.INK, markersize=2, alpha=0.6)
    axes.plot([scale * test.low, scale * test.high], [place, place], color=colour, linewidth=2)
    axes.plot(
        [scale * test.mean],
        [place],
        "o",
        color=colour,
        markersize=5,
        markerfacecolor=colour if test.verdict in COLOURS else "white",
    )


def _widest(compared: list[tuple[str, Outcome]], name: str, scale: float) -> float:
    tests = [test_of(outcome, name) for _, outcome in compared]
    return 1.1 * scale * max(max(abs(one.low), abs(one.high)) for one in tests if one)
