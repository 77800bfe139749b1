"""Speed across tunings, precisions and batch sizes: throughput beside the machine's limit, scaling
with the batch size, energy."""

from collections.abc import Callable

import numpy as np

from report.chart import Chart, Panel, Series, interval_mark
from report.section import Heading, Picture, Section
from report.sections import ratios
from report.sections.nodes import nodes
from report.sections.replicas import scaling
from results.stats.intervals import Interval, median_of_medians
from results.views.cells import Bench, Cell, benches
from results.views.estimates import bars
from results.views.numbers import with_interval
from results.views.views import Frames, refused
from results.words import count, mostly

_LEAD = (
    "The same work in every framework, tuning, precision and batch size that was run. Idiomatic "
    "is the loop of the framework's own tutorial. Tuned is the best known for this machine. The "
    "two answer different questions, so every row says which it is. The frameworks' own libraries "
    "measured the machine's limit before the first run."
)


def speeds(frames: Frames) -> Section | None:
    """Every bench that has more to say than one process of each framework can."""
    section = Section("benches", "Speed in every setting, and the machine's limit", _LEAD)
    found = benches(frames)
    for number, bench in enumerate(one for one in found if one.telling):
        name = f"{bench.view.slug.split('-')[0]}-{bench.name}-{number + 1}"
        slug = "".join(c if c.isalnum() else "-" for c in name.lower())
        section.blocks.append(Heading(f"{bench.name}, {bench.view.machine}"))
        section.blocks.extend(ratios.warnings(bench))
        section.blocks.append(_throughput(bench, slug))
        section.blocks.append(ratios.cell_table(bench))
        if (table := ratios.ratio_table(bench)) is not None:
            section.blocks.append(table)
        section.blocks.extend(ratios.noise(bench))
        section.blocks.extend(nodes(bench))
        if len(bench.batch_sizes) > 1:
            section.blocks.append(_scaling(bench, slug))
        if any(cell.median("images_per_joule") > 0 for cell in bench.cells):
            section.blocks.append(_energy(bench, slug))
    tables = list(scaling(found))
    if tables:
        section.blocks.extend([Heading("Several replicas"), *tables])
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
        f"{bench.name}: training throughput" + (" and the machine's limit" if limited else ""),
        rows_chart(
            bench,
            lambda cell: cell.images_per_second,
            lambda cell: cell.runs["images_per_second"].to_numpy(dtype=np.float64),
            "images per second",
            limited,
        ),
        caption=f"Training throughput by framework, tuning, precision and batch size. "
        f"{bench.conditions}. {processes_words(bench)}",
        reading=f"Every small point is one process (its median epoch), the mark the median of "
        f"the processes, the bar its {interval_words(bench)}. Further right is faster." + limit,
    )


def rows_chart(
    bench: Bench,
    value: Callable[[Cell], Interval],
    points: Callable[[Cell], np.ndarray],
    unit: str,
    roofline: bool = False,
) -> Chart:
    """A panel for each batch size, a row for each cell: processes, median, interval, limit."""
    panels = []
    for size in bench.batch_sizes:
        cells = [cell for cell in bench.cells if cell.batch_size == size]
        series = []
        for place, cell in enumerate(cells):
            found, raw = value(cell), points(cell).tolist()
            series.append(
                Series(
                    f"{cell.look.name}, {cell.tuning}: a process",
                    raw,
                    [place - 0.18] * len(raw),
                    "points",
                    colour=cell.look.colour,
                    marker=cell.look.marker,
                    hollow=cell.tuning != "tuned",
                    faint=True,
                    runs=cell.runs["execution_id"].tolist() if len(raw) == len(cell.runs) else (),
                )
            )
            text = with_interval(found)
            if roofline and cell.median("roofline_seconds") > 0:
                most = cell.batch_size / cell.median("roofline_seconds")
                series.insert(
                    0, Series("roofline", [most], [place], "bar", [0], [most], faint=True)
                )
                text += f", {100 * cell.median('roofline_share'):.0f} % of the roofline"
            why = bars([len(cell.runs)])
            series.append(interval_mark("median", found, place + 0.16, why, text))
        names = [f"{cell.look.name}, {cell.tuning}, {cell.precision}" for cell in cells]
        title = refused(f"batch {size}: {unit}", cells[0].refusal)
        panels.append(Panel(title, unit, series, rows=names, zero=True))
    return Chart(panels, across=1)


def scaling_chart(bench: Bench) -> Chart:
    """A panel for each precision, a line for each framework and tuning."""
    panels = []
    for precision in dict.fromkeys(cell.precision for cell in bench.cells):
        cells = [cell for cell in bench.cells if cell.precision == precision]
        series = []
        for framework, tuning in dict.fromkeys((cell.framework, cell.tuning) for cell in cells):
            mine = [cell for cell in cells if (cell.framework, cell.tuning) == (framework, tuning)]
            found = [cell.images_per_second for cell in mine]
            series.append(
                Series(
                    f"{mine[0].look.name}, {tuning}",
                    [cell.batch_size for cell in mine],
                    [one.value for one in found],
                    low=[one.low for one in found],
                    high=[one.high for one in found],
                    colour=mine[0].look.colour,
                    marker=mine[0].look.marker,
                    dashed=tuning != "tuned",
                    why=interval_words(bench),
                )
            )
        limited = [cell for cell in cells if cell.median("roofline_seconds") > 0]
        if limited:
            sizes = sorted({cell.batch_size for cell in limited})
            most = {c.batch_size: c.batch_size / c.median("roofline_seconds") for c in limited}
            series.append(Series("roofline", sizes, [most[size] for size in sizes], faint=True))
        panels.append(
            Panel(precision, "images in a batch", series, "images per second", log="x", zero=True)
        )
    return Chart(panels)


def _scaling(bench: Bench, slug: str) -> Picture:
    return Picture(
        f"scaling-{slug}",
        f"{bench.name}: throughput over the batch size",
        scaling_chart(bench),
        caption=f"Throughput over the batch size. {bench.conditions}. {processes_words(bench)}",
        reading="Full lines are tuned, broken lines idiomatic; the bars are the "
        f"{interval_words(bench)}. The grey line is the roofline. A line that rises shows that "
        "larger batches use the machine better; where it is flat, they only need more memory.",
    )


def _energy(bench: Bench, slug: str) -> Picture:
    def points(cell: Cell) -> np.ndarray:
        return cell.runs["images_per_joule"].dropna().to_numpy(dtype=np.float64)

    return Picture(
        f"energy-{slug}",
        f"{bench.name}: images trained for a joule",
        rows_chart(
            bench,
            lambda cell: median_of_medians([[value] for value in points(cell)]),
            points,
            "images per joule",
        ),
        caption="Images trained for a joule of the GPU's energy, by its own counter (NVML), over "
        f"all training epochs. {bench.conditions}. {processes_words(bench)}",
        reading="Further right is less energy for the same work. Processor, memory and cooling "
        "are not in it.",
    )


def processes_words(bench: Bench) -> str:
    """Number of processes of each cell, in words."""
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
    """Meaning of the bars, in words."""
    return bars(len(cell.runs) for cell in bench.cells)
