"""Cells side by side as tables: each with its spread, and ratios with the words they allow."""

from math import isinf, isnan

from report.section import Block, Note, Table
from results.stats.comparison import Comparison, paired_ratio, spread
from results.stats.vocabulary import FASTER, LEAST_RATIO, SLOWER, SURE, UNDECIDED, explained
from results.views.cells import Bench, Cell
from results.views.numbers import NONE, significant, with_interval
from results.words import count

_HEADER = [
    "framework",
    "tuning",
    "precision",
    "batch",
    "processes",
    "images/s",
    "epoch, s: lowest",
    "IQR",
    "MAD",
    "compile, s",
    "% of peak",
    "% of roofline",
    "own time, %",
    "parity",
]
_DATA_WAIT = (
    "Data wait: of the training time, what the program of a tuned run stood waiting for its next "
    "batches. A device that was handed work ahead may have been computing meanwhile; copies that "
    "queue between its kernels on a GPU are not counted. "
)


def cell_table(bench: Bench) -> Table:
    """A row for each cell: throughput with its interval, spread of the epoch time, shares."""
    energy = any(cell.median("images_per_joule") > 0 for cell in bench.cells)
    fed = any(not isnan(cell.host_wait_share) for cell in bench.cells)
    more = [*(["data wait, %"] if fed else []), *(["images/J"] if energy else [])]
    header = [*_HEADER[:-1], *more, _HEADER[-1]]
    rows = []
    for cell in bench.cells:
        found = spread(list(cell.seconds.values()))
        alone = len(cell.runs) < 2
        rows.append(
            [
                cell.look.name,
                cell.tuning,
                cell.precision,
                str(cell.batch_size),
                str(len(cell.runs)),
                with_interval(cell.images_per_second),
                significant(found.lowest),
                NONE if alone else significant(found.quartiles, 2),
                NONE if alone else significant(found.deviation, 2),
                significant(cell.median("compile_seconds")),
                significant(100 * cell.median("peak_share")),
                significant(100 * cell.median("roofline_share")),
                significant(100 * cell.median("own_share"), 2),
                *([significant(100 * cell.host_wait_share, 2)] if fed else []),
                *([significant(cell.median("images_per_joule"))] if energy else []),
                cell.parity_words,
            ]
        )
    return Table(
        header,
        rows,
        "llrr" + "r" * (len(header) - 5) + "l",
        caption=f"{bench.name}. {bench.conditions}. Images/s: from the median of the processes' "
        "median epochs; lowest, IQR (interquartile range) and MAD (median absolute deviation) are "
        "of the processes' median epoch seconds. % of peak: operations per second over those of "
        "the fastest matrix product measured in that precision. % of roofline: over what no step "
        "that works layer by layer can exceed with that peak and the measured copy bandwidth. Own "
        "time: what of a process's wall time is none of import, staging, building, compiling, "
        f"training and evaluation. {_DATA_WAIT if fed else ''}Parity: whether this configuration "
        "computed what the float64 reference does, asked before its speed was measured.",
    )


def ratio_table(bench: Bench) -> Table | None:
    """Ratios of epoch seconds, and what may be said of them; None with nothing to compare."""
    rows = [_ratio_row(one, other, found) for one, other, found in bench.comparisons()]
    if not rows:
        return None
    return Table(
        ["compared", "precision", "batch", "time ratio", "p", "verdict"],
        rows,
        "llrrrl",
        caption=f"{bench.name}: epoch seconds of the first over those of the second, below 1 the "
        "first took less. Median over blocks of one process each, run close together, with the "
        "exact 95 % interval in square brackets or, of fewer than six blocks, the range in "
        f"round ones. p: exact Mann-Whitney test, sure below {SURE:g}. Threshold: "
        f"{100 * LEAST_RATIO:g} %. Noise floor: the larger of both cells' own, where six A/A "
        "blocks show one, else that of all pairs. Both must have passed the parity check. "
        f"{explained((FASTER, SLOWER, UNDECIDED))}.",
    )


def _ratio_row(one: Cell, other: Cell, found: Comparison) -> list[str]:
    if one.framework == other.framework:
        compared = f"{one.look.name}: {one.tuning} / {other.tuning}"
        subject = one.tuning
    else:
        compared = f"{one.look.name} / {other.look.name}, {one.tuning}"
        subject = one.look.name
    if found.verdict in (FASTER, SLOWER):
        verdict = f"{subject} is {found.verdict}"
    else:
        verdict = f"{found.verdict}: {found.reason}"
    return [
        compared,
        one.precision,
        str(one.batch_size),
        with_interval(found.ratio),
        significant(found.p, 2),
        verdict,
    ]


def noise(bench: Bench) -> list[Block]:
    """Note on the noise floor, from the A/A pairs."""
    if not bench.controlled:
        return [
            Note(
                "Noise floor: no A/A pair was run (the same cell twice), so nothing here is called "
                "faster or slower. To run one: python -m benchmarks.run --suite speed"
            )
        ]
    words = []
    for cell in bench.controlled:
        ratio = paired_ratio(cell.control_seconds, cell.seconds)
        blocks = len(cell.control_seconds)
        words.append(
            f"{cell.look.name}, {cell.tuning}, {cell.precision}, batch {cell.batch_size}: "
            f"{with_interval(ratio)} over {count(blocks, 'block')}"
        )
    floor = bench.noise_floor
    told = (
        "one block shows no spread, so there is no floor"
        if isinf(floor)
        else f"the noise floor is {100 * floor:.1f} %"
    )
    return [
        Note(
            "Noise floor (A/A): a cell of every block was run twice, half a block apart. Its time "
            f"over its own: {'; '.join(words)}. So {told}: the far end of the interval over the "
            "blocks of all."
        )
    ]


def warnings(bench: Bench) -> list[Block]:
    """Cells without parity, beyond the limit, or on a GPU that was slowed down."""
    notes: list[Block] = []
    for cell in bench.cells:
        name = f"{cell.look.name}, {cell.tuning}, {cell.precision}, batch {cell.batch_size}"
        if cell.parity_checked is False:
            failures = cell.failures
            notes.append(
                Note(
                    f"{bench.name}: {name} did NOT pass the parity check: its speed is of another "
                    f"computation, and it is compared with nothing. {failures}".strip(),
                    "warning",
                )
            )
        if cell.median("roofline_share") > 1:
            notes.append(
                Note(
                    f"{bench.name}: {name} is above the measured limit: either that was measured "
                    "too low, on a busy machine for instance, or the matrix product is not the "
                    "fastest kernel here. The shares of this session are not to be used.",
                    "warning",
                )
            )
        for fallback in cell.fallbacks:
            notes.append(Note(f"{bench.name}: {name} fell back: {fallback}", "warning"))
        if cell.throttled:
            notes.append(
                Note(
                    f"{bench.name}: the GPU was slowed down ({', '.join(cell.throttled)}) when "
                    f"runs of {name} ended. Their times may be too long.",
                    "warning",
                )
            )
    return notes
