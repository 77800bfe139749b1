"""Speed across tunings, precisions and batch sizes: throughput beside the machine's limit, scaling
with the batch size, energy."""

from collections.abc import Callable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from report import style
from report.section import Heading, Picture, Section
from report.sections import ratios
from results.stats.intervals import Interval, median_of_medians
from results.views.cells import Bench, Cell, benches
from results.views.estimates import bars
from results.views.looks import plain
from results.views.numbers import with_interval
from results.views.views import Frames
from results.views.words import count, mostly

_LEAD = (
    "The same work in every framework, tuning, precision and batch size that was run. Idiomatic "
    "is the loop of the framework's own tutorial. Tuned is the best known for this machine. The "
    "two answer different questions, so every row says which it is. The frameworks' own libraries "
    "measured the machine's limit before the first run."
)


def speeds(frames: Frames) -> Section | None:
    """Every bench that has more to say than one process of each framework can."""
    section = Section("benches", "Speed in every setting, and the machine's limit", _LEAD)
    for number, bench in enumerate(one for one in benches(frames) if one.telling):
        name = f"{bench.view.slug.split('-')[0]}-{bench.name}-{number + 1}"
        slug = "".join(c if c.isalnum() else "-" for c in name.lower())
        section.blocks.append(Heading(f"{bench.name}, {bench.view.machine}"))
        section.blocks.extend(ratios.warnings(bench))
        section.blocks.append(_throughput(bench, slug))
        section.blocks.append(ratios.cell_table(bench))
        if (table := ratios.ratio_table(bench)) is not None:
            section.blocks.append(table)
        section.blocks.extend(ratios.noise(bench))
        if len(bench.batch_sizes) > 1:
            section.blocks.append(_scaling(bench, slug))
        if any(cell.median("images_per_joule") > 0 for cell in bench.cells):
            section.blocks.append(_energy(bench, slug))
    return section if section.blocks else None


def _throughput(bench: Bench, slug: str) -> Picture:
    limited = any(cell.median("roofline_seconds") > 0 for cell in bench.cells)
    limit = (
        " The grey end of a row is the roofline: a training step whose products and bytes went at "
        "the best rates of a matrix product and of copying that were measured here."
        if limited
        else ""
    )
    return Picture(
        f"bench-{slug}",
        rows_figure(
            bench,
            lambda cell: cell.images_per_second,
            lambda cell: cell.runs["images_per_second"].to_numpy(dtype=np.float64),
            f"{bench.name}: training throughput" + (" and the machine's limit" if limited else ""),
            "images per second",
            roofline=limited,
        ),
        caption=f"Training throughput by framework, tuning, precision and batch size. "
        f"{bench.conditions}. {processes_words(bench)}",
        reading=f"Every small point is one process (its median epoch), the mark the median of "
        f"the processes, the bar its {interval_words(bench)}. Further right is faster." + limit,
    )


def rows_figure(
    bench: Bench,
    value: Callable[[Cell], Interval],
    points: Callable[[Cell], np.ndarray],
    title: str,
    unit: str,
    *,
    roofline: bool = False,
) -> Figure:
    """A panel for each batch size, a row for each cell: processes, median, interval, limit."""
    panels = [
        [cell for cell in bench.cells if cell.batch_size == size] for size in bench.batch_sizes
    ]
    heights = [0.34 * len(cells) + 0.5 for cells in panels]
    figure = style.figure(8.6, 1.05 + sum(heights) + 0.1 * len(heights))
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, cells, size in zip(grid, panels, bench.batch_sizes, strict=True):
        for place, cell in enumerate(cells):
            text = with_interval(value(cell))
            if roofline and cell.median("roofline_share") > 0:
                text += f" · {100 * cell.median('roofline_share'):.0f} % of roofline"
            _row(axes, place, cell, value(cell), points(cell), text)
            if roofline:
                _limit(axes, place, cell)
        _frame(axes, cells)
        axes.set_title(plain(f"batch {size}: {unit}"))
        style.mark_refused(axes, cells[0].refusal)
    return style.finish(
        figure,
        title,
        f"{bench.conditions}  ·  points: processes; mark and bar: median and "
        f"{interval_words(bench)}",
        legend=_legend(bench, roofline),
    )


def _row(
    axes: Axes, place: int, cell: Cell, interval: Interval, points: np.ndarray, text: str
) -> None:
    look = cell.look
    filled = look.colour if cell.tuning == "tuned" else "white"
    axes.scatter(
        points,
        np.full(len(points), place - 0.18),
        marker=look.marker,
        s=15,
        fc=filled,
        ec=look.colour,
        lw=0.8,
        zorder=3,
    )
    if not np.isnan(interval.low):
        ends = [interval.low, interval.high]
        axes.plot(ends, [place + 0.16] * 2, color=style.INK, lw=1.6, zorder=4)
    mark = [place + 0.04, place + 0.28]
    axes.plot([interval.value] * 2, mark, color=style.INK, lw=2, zorder=4)
    axes.annotate(
        text,
        (1.01, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=7,
        color=style.INK,
    )


def _limit(axes: Axes, place: int, cell: Cell) -> None:
    """The roofline of the row: the images per second that no layer-wise step exceeds."""
    seconds = cell.median("roofline_seconds")
    if not seconds > 0:
        return
    most = cell.batch_size / seconds
    axes.barh(place, most, height=0.8, color=style.FAINT, alpha=0.35, zorder=0)
    axes.plot([most] * 2, [place - 0.4, place + 0.4], color=style.MUTED, lw=1.4, zorder=1)


def _frame(axes: Axes, cells: list[Cell]) -> None:
    labels = [f"{cell.look.name}, {cell.tuning}, {cell.precision}" for cell in cells]
    axes.set_yticks(range(len(cells)), [plain(label) for label in labels])
    for label, cell in zip(axes.get_yticklabels(), cells, strict=True):
        label.set_color(cell.look.colour)
        label.set_fontweight("bold" if cell.tuning == "tuned" else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(cells) - 0.45, -0.55)
    axes.set_xlim(left=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def _legend(bench: Bench, roofline: bool) -> list[Artist]:
    tunings = {cell.tuning for cell in bench.cells}
    marks: list[Artist] = [
        Line2D(
            [],
            [],
            marker="o",
            ls="",
            ms=4,
            mec=style.MUTED,
            mfc=style.MUTED if tuning == "tuned" else "white",
            label=f"a process, {tuning}",
        )
        for tuning in ("idiomatic", "tuned")
        if tuning in tunings
    ]
    marks.append(Line2D([], [], color=style.INK, lw=2, label="median"))
    if roofline:
        marks.append(Line2D([], [], color=style.MUTED, lw=1.4, label="roofline"))
    return marks


def _scaling(bench: Bench, slug: str) -> Picture:
    return Picture(
        f"scaling-{slug}",
        scaling_figure(bench),
        caption=f"Throughput over the batch size. {bench.conditions}. {processes_words(bench)}",
        reading="Full lines are tuned, broken lines idiomatic; the bars are the "
        f"{interval_words(bench)}. The grey line is the roofline. A line that rises shows that "
        "larger batches use the machine better; where it is flat, they only need more memory.",
    )


def scaling_figure(bench: Bench) -> Figure:
    """A panel for each precision, a line for each framework and tuning."""
    precisions = list(dict.fromkeys(cell.precision for cell in bench.cells))
    figure = style.figure(max(4.6, 3.6 * len(precisions)), 3.6)
    grid = figure.subplots(1, len(precisions), squeeze=False, sharey=True)[0]
    sizes = bench.batch_sizes
    for axes, precision in zip(grid, precisions, strict=True):
        cells = [cell for cell in bench.cells if cell.precision == precision]
        for framework, tuning in dict.fromkeys((cell.framework, cell.tuning) for cell in cells):
            mine = [cell for cell in cells if (cell.framework, cell.tuning) == (framework, tuning)]
            _line(axes, mine)
        limits = {
            cell.batch_size: cell.batch_size / cell.median("roofline_seconds")
            for cell in cells
            if cell.median("roofline_seconds") > 0
        }
        if limits:
            axes.plot(list(limits), list(limits.values()), color=style.MUTED, lw=1.2, zorder=1)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.grid()
        axes.set_xlabel("images in a batch")
        axes.set_title(precision)
    grid[0].set_ylabel("images per second")
    return style.finish(
        figure,
        f"{bench.name}: throughput over the batch size",
        f"{bench.conditions}  ·  bars: {interval_words(bench)}",
        legend=[
            *_scaling_legend(bench),
            Line2D([], [], color=style.MUTED, lw=1.2, label="roofline"),
        ],
    )


def _line(axes: Axes, cells: list[Cell]) -> None:
    look, tuned = cells[0].look, cells[0].tuning == "tuned"
    found = [cell.images_per_second for cell in cells]
    values = [interval.value for interval in found]
    lows = [0 if np.isnan(one.low) else one.value - one.low for one in found]
    highs = [0 if np.isnan(one.high) else one.high - one.value for one in found]
    axes.errorbar(
        [cell.batch_size for cell in cells],
        values,
        yerr=[lows, highs],
        color=look.colour,
        marker=look.marker,
        ms=4.5,
        mfc=look.colour if tuned else "white",
        ls="-" if tuned else "--",
        lw=1.3,
        capsize=2,
        zorder=3,
    )


def _scaling_legend(bench: Bench) -> list[Artist]:
    shown = dict.fromkeys((cell.look, cell.tuning) for cell in bench.cells)
    return [
        Line2D(
            [],
            [],
            color=look.colour,
            marker=look.marker,
            ms=4,
            mfc=look.colour if tuning == "tuned" else "white",
            ls="-" if tuning == "tuned" else "--",
            label=f"{look.name}, {tuning}",
        )
        for look, tuning in shown
    ]


def _energy(bench: Bench, slug: str) -> Picture:
    def points(cell: Cell) -> np.ndarray:
        return cell.runs["images_per_joule"].dropna().to_numpy(dtype=np.float64)

    return Picture(
        f"energy-{slug}",
        rows_figure(
            bench,
            lambda cell: median_of_medians([[value] for value in points(cell)]),
            points,
            f"{bench.name}: images trained for a joule",
            "images per joule",
        ),
        caption="Images trained for a joule of the GPU's energy, by its own counter (NVML), over "
        f"all training epochs. {bench.conditions}. {processes_words(bench)}",
        reading="Further right is less energy for the same work. Processor, memory and cooling "
        "are not in it.",
    )


def processes_words(bench: Bench) -> str:
    """How many processes each cell has."""
    return (
        "n = "
        + mostly(
            {
                f"{cell.look.name} {cell.tuning} {cell.precision} batch {cell.batch_size}": count(
                    len(cell.runs), "process"
                )
                for cell in bench.cells
            }
        )
        + "."
    )


def interval_words(bench: Bench) -> str:
    """What the bars are."""
    return bars(len(cell.runs) for cell in bench.cells)
