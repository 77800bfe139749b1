"""Parts of a section of the page. A module contributes a section by a function of the frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from report.chart import Shown
from results.views.views import Frames


@dataclass(frozen=True)
class Picture:
    """A figure with its caption (what it shows, n, interval) and how to read it.

    The page draws `shown` in the browser; for papers `report.figures` draws it with matplotlib.

    Attributes:
        name: file name without ending, unique in the report.
        title: above the figure of a paper.
        demo: of generated galaxies.
        wide: needs more than a phone's width to be read; scrolls there.
    """

    name: str
    title: str
    shown: Shown
    caption: str
    reading: str = ""
    demo: bool = False
    wide: bool = True


@dataclass(frozen=True)
class Table:
    """A table; `align` has a letter for each column, l or r.

    With `grouped`, a rule stands between rows whose first cells differ.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    caption: str = ""
    grouped: bool = False


@dataclass(frozen=True)
class Note:
    """A paragraph; `kind` is "text", "warning" or "log" (preformatted)."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str


Block = Picture | Table | Note | Heading


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: anchor, unique on the page.
        lead: what the section answers, in plain words.
    """

    key: str
    title: str
    lead: str
    blocks: list[Block] = field(default_factory=list)


MakeSection = Callable[[Frames], Section | None]
