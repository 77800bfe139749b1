"""The whole answer as one page that needs no network: verdict first, then layers side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.port.answer import Answer
from benchmarks.port.compare import Found
from benchmarks.port.difference import grouped, unlike, words
from benchmarks.port.operation import Listing, Operation
from benchmarks.port.outputs import Row
from benchmarks.port.show import CURVES, also, curves, ends, figure, left_to
from report.answer import render
from report.section import Block, Note, Section, Table


def page(answers: Sequence[Answer]) -> str:
    """The comparisons of the first program with each other one, as HTML."""
    verdicts = [(f"A: {one.labels[0]}   B: {one.labels[1]}", one.verdict) for one in answers]
    sections = []
    for number, one in enumerate(answers, start=1):
        suffix = f"-{number}" if len(answers) > 1 else ""
        name = f" ({one.labels[1]})" if len(answers) > 1 else ""
        if one.found is None:
            lead = "This pair could not be compared."
            blocks: list[Block] = [Note(one.error, "log")]
            sections.append(Section(f"error{suffix}", f"Error{name}", lead, blocks))
            continue
        sections += [
            Section(section.key + suffix, section.title + name, section.lead, section.blocks)
            for section in _sections(one.found, one.labels)
        ]
    title = "Do these programs train the same?"
    return render(title, verdicts, sections, "python -m benchmarks.port")


def _sections(found: Found, labels: tuple[str, str]) -> Iterator[Section]:
    if found.differences or found.without:
        yield Section(
            "differences",
            "What differs",
            "What shows first stands at the top, the largest effect of a stage first.",
            list(_differences(found)),
        )
    yield Section(
        "layers",
        "Layer by layer",
        "Both programs side by side. The outputs column says how far apart the outputs are "
        "in the whole network; the next one how far B's layer by itself is from A's when both "
        "read what A's layer read.",
        [_layers(found.rows)],
    )
    yield Section(
        "measured",
        "How far apart",
        "Measured in float64 on the CPU, norm-wise, with the same weights, pictures and dropout "
        "masks in both.",
        [Table(["what", "apart"], [[k, figure(v)] for k, v in found.measured.items()], "lr")],
    )
    if found.trained is not None:
        table = Table(list(CURVES), curves(found.trained), "rrrrr")
        lead = f"Both in the harness, means over the seeds: {found.trained.command}"
        yield Section("trained", "Training", lead, [table, *map(Note, ends(found.trained))])
    yield Section(
        "programs",
        "The programs",
        "What was read of each. A constant that a program states is marked; the others are the "
        "framework's defaults.",
        list(_programs(found, labels)),
    )
    if found.mapping:
        yield Section(
            "weights",
            "Weights that correspond",
            "The weights of A were carried to B by this table.",
            [_mapping(found)],
        )
    if found.notes or found.unread or found.stopped:
        blocks: list[Block] = [Note(f"Not read, only run: {one}") for one in found.unread]
        if found.stopped:
            blocks.append(Note(f"Stopped: {found.stopped}", "log"))
        blocks += [Note(note) for note in found.notes]
        yield Section("notes", "Notes", "What else there is to know.", blocks)


def _differences(found: Found) -> Iterator[Block]:
    if found.differences:
        yield Table(
            ["", "where", "constant", "A", "B", "stage", "apart", "why, and how to align it"],
            [
                [
                    str(number),
                    one.place,
                    one.constant,
                    one.a,
                    one.b,
                    one.stage,
                    figure(one.effect),
                    "; ".join(
                        filter(None, [also(places), one.shown, left_to(one.stated), *one.align])
                    ),
                ]
                for number, (one, places) in enumerate(grouped(found.differences), start=1)
            ],
            "rlllllrl",
        )
    if found.without:
        yield Table(
            ["where", "constant", "A", "B"],
            [[one.place, one.constant, one.a, one.b] for one in found.without],
            "llll",
            caption="Written differently; nothing that was measured shows it.",
        )


def _layers(rows: Sequence[Row]) -> Table:
    return Table(
        ["A", "constants of A", "B", "constants of B", "differs in", "outputs", "by itself"],
        [
            [
                *_side(row.pair.a),
                *_side(row.pair.b),
                _differs(row),
                figure(row.through),
                figure(row.alone),
            ]
            for row in rows
        ],
        "lllllrr",
    )


def _side(one: Operation | None) -> list[str]:
    if one is None:
        return ["-", ""]
    kind = one.constants.get("function") or one.kind
    name = f"{one.name}: {kind} {words(one.shape)}" + (f" ({one.where})" if one.where else "")
    shown = [
        f"{constant} {words(value)}"
        for constant, value in one.constants.items()
        if constant != "function" and value not in (None, "")
    ]
    return [name, ", ".join(shown)]


def _differs(row: Row) -> str:
    a, b = row.pair.a, row.pair.b
    if a is None or b is None:
        return "only in B" if a is None else "only in A"
    if a.kind != b.kind:
        return "kind"
    return ", ".join(constant for constant, _, _ in unlike(a.constants, b.constants))


def _programs(found: Found, labels: tuple[str, str]) -> Iterator[Block]:
    rows = []
    for name, label, listing in zip("AB", labels, found.listings, strict=True):
        rows += [[name, what, value] for what, value in _facts(label, listing)]
    yield Table(["program", "what", "value"], rows, "lll", grouped=True)


def _facts(label: str, listing: Listing) -> Iterator[tuple[str, str]]:
    yield "named", label
    yield "framework", listing.framework
    yield "pictures", words(listing.input)
    yield "operations", str(len(listing.operations))
    recipe = listing.recipe
    for part, table, stated in (
        ("loss", recipe.loss, recipe.loss_stated),
        ("optimizer", recipe.optimizer, recipe.optimizer_stated),
    ):
        for constant, value in table.items():
            mark = " (stated)" if constant in stated else ""
            yield f"{part}: {constant}", words(value) + mark
    if recipe.rates:
        shown = ", ".join(f"{step}: {rate:.4g}" for step, rate in recipe.rates.items())
        yield "learning rate by step", shown


def _mapping(found: Found) -> Table:
    a, b = found.listings
    return Table(
        ["A", "shape", "B", "shape"],
        [
            [one, words(a.parameters.get(one)), other, words(b.parameters.get(other))]
            for one, other in found.mapping.items()
        ],
        "lrlr",
        caption="Shapes are canonical: kernels (height, width, in, out) or (in, out).",
    )
