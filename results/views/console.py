"""The answers of a store on a terminal, before any table."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from results.table import clean, width_of
from results.views.answers import Answer


def print_answers(answers: Sequence[Answer]) -> None:
    """A paragraph for each: the question in bold, then the sentence; a blank line at the end."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=width_of(sys.stdout), highlight=False)
    for answer in answers:
        about = f" ({clean(answer.about)})" if answer.about else ""
        line = Text.assemble((f"{answer.question}{about}", "bold"), " ", clean(answer.sentence))
        console.print(line)
    console.print()
