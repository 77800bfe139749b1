"""The page of one answer: verdicts first, then sections of tables and notes, no script."""

from __future__ import annotations

from collections.abc import Sequence

from report.assets import policy, template, text
from report.section import Section

_STYLES = ("templates/page.css",)
_MOST_ROWS = 100_000  # no explorer holds what a table leaves out


def render(
    title: str, verdicts: Sequence[tuple[str, str]], sections: Sequence[Section], made_by: str
) -> str:
    """The page as HTML; every text in it is escaped.

    Args:
        title: of the page.
        verdicts: (what it is about, the verdict), shown first.
        sections: of headings, notes and tables; a page without a script draws no figures.
        made_by: the command, for the foot of the page.
    """
    style = text(_STYLES)
    return template(
        "answer.html",
        "",
        style,
        policy=policy("", style),
        title=title,
        verdicts=verdicts,
        sections=sections,
        made_by=made_by,
        most_rows=_MOST_ROWS,
        kind=lambda block: type(block).__name__.lower(),
    )
