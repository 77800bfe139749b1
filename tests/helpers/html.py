"""A page of the report, taken apart: its text, its links, the data inside it."""

import html.parser
import re
from typing import Any

from report import page, payload
from results.store import Store
from results.views.views import Frames


class Text(html.parser.HTMLParser):
    """The page's text and the addresses it mentions."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.open = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open = tag
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.open not in ("script", "style"):
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def data_of(content: str, part: str) -> Any:
    """One part of the data inside a page."""
    found = re.search(rf'<script type="text/plain" id="data-{part}">(.*?)</script>', content)
    assert found is not None
    return payload.unpacked(found[1])


def value_of(column: dict[str, Any], row: int) -> Any:
    """A value of a packed column, as the page's script reads it."""
    if "c" in column:
        return column["c"]
    return column["d"][column["i"][row]] if "d" in column else column["v"][row]


def content_of(store: Store) -> str:
    """The page."""
    frames = Frames.load(store)
    return page.render(frames, page.build(frames))
