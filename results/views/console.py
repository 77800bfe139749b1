"""The answers of a store on a terminal, before any table."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from results.names import in_line
from results.table import width_of
from results.views.answers import Answer


def print_answers(answers: Sequence[Answer]) -> None:
    """A paragraph for each: the question in bold, then the sentence; a blank line at the end."""
    from rich.text import Text

    from results.terminal import Terminal

    console = Terminal(width=width_of(sys.stdout), highlight=False)
    for answer in answers:
        about = f" ({in_line(answer.about)})" if answer.about else ""
        line = Text.assemble((f"{answer.question}{about}", "bold"), " ", in_line(answer.sentence))
        console.print(line)
    console.print()
