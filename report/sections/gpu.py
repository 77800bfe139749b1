"""Section of a prepared measurement on a GPU, from its files (`python -m benchmarks.gpu`)."""

from pathlib import Path

from report.section import Heading, Note, Section, Table
from results.studies import gpu_files, gpu_tables


def measured(folder: Path) -> Section:
    """The tables of a folder, with what is missing.

    Raises:
        FileError: the folder holds no prepared measurement, or a file of it is damaged.
    """
    rehearsal = gpu_files.read(folder).rehearsal
    section = Section(
        "gpu",
        "On a GPU: limits, parity, speed, energy, determinism",
        "All that one prepared command measured on one GPU. What it had no time for, or could not "
        "run, is the last table.",
        [Note(gpu_tables.lead(folder), "warning" if rehearsal else "text")],
    )
    for table in gpu_tables.tables(folder):
        section.blocks.append(Heading(table.title))
        section.blocks.append(Table(table.header, table.rows, "l" * len(table.header)))
    return section
