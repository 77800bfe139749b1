"""The one terminal: what is printed there is text, never markup and never a command to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from results.names import printable


class Terminal(Console):
    """A `rich` console that takes no markup (`[red]`) and no control characters from a string.

    Colours are given by `rich.text.Text` and by styles of columns.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"highlight": False, **settings, "markup": False, "emoji": False})

    def on_broken_pipe(self) -> None:
        """Let the error through: the command knows what its status is when nobody reads on."""
        raise  # the BrokenPipeError that is being handled

    def render_str(self, text: str, **settings: Any) -> Text:
        """A string as it is, but for what would steer the terminal."""
        return super().render_str(printable(text), **{**settings, "markup": False, "emoji": False})

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments to print, with a user's words in a `Text` made harmless."""
        for segment in super().render(renderable, options):
            plain = segment.text if segment.control else printable(segment.text)
            yield segment if plain == segment.text else segment._replace(text=plain)
