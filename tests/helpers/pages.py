"""The pages of the documentation, taken apart: code blocks, commands, links, headings."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.conftest import ROOT

RUN_BY_A_TEST = "a test runs these"
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_REMARK = re.compile(r"<!-- *(?:needs: *)?(.*?) *-->\s*\Z", re.DOTALL)
_OPERATORS = "&;|\n"


@dataclass(frozen=True)
class Block:
    """A code block. `remark` is the comment right above it: what it needs, or ""."""

    page: str
    line: int
    language: str
    text: str
    remark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a page, with the shell's quoting, comments and variables resolved."""

    where: str
    words: tuple[str, ...]
    remark: str

    def __str__(self) -> str:
        return f"{self.where} {' '.join(self.words)}"


@dataclass(frozen=True)
class Page:
    """A Markdown file of the repository."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its code blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[Block]:
        found = []
        for match in _FENCE.finditer(self.text):
            before = self.text[: match.start()]
            remark = _REMARK.search(before)
            line = before.count("\n") + 1
            block = Block(self.name, line, match[1], match[2], remark[1] if remark else "")
            if block.language == language:
                found.append(block)
        return found

    def commands(self) -> Iterator[Command]:
        """Those of the `sh` blocks, and those of ours that stand in a sentence or a table."""
        for block in self.blocks("sh"):
            for words in shell_commands(block.text):
                yield Command(str(block), words, block.remark)
        for text in re.findall(r"`((?:python -m|pip install) [^`]+)`", self.prose):
            yield Command(self.name, tuple(shlex.split(text)), "in a sentence")

    def links(self) -> list[str]:
        """Targets of links and pictures that are no addresses on the web."""
        found = re.findall(r"\]\(([^)\s]+)\)", self.prose)
        return [target for target in found if not re.match(r"\w+:", target)]

    def anchors(self) -> set[str]:
        """The anchors that a forge gives the headings."""
        titles = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def pages() -> list[Page]:
    """Every page that a reader is meant to see."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return [Page(path) for path in files]


def shell_commands(script: str) -> Iterator[tuple[str, ...]]:
    """The commands of a script: split at line ends, `&&` and `;`, with `$NAME` filled in."""
    script = re.sub(r"(^|\s)#.*$", r"\1", script.replace("\\\n", " "), flags=re.MULTILINE)
    lexer = shlex.shlex(script, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t", "", True
    variables: dict[str, str] = {}
    words: list[str] = []
    for token in [*lexer, "\n"]:
        if not set(token) <= set(_OPERATORS):
            words += variables[token[1:]].split() if token[:1] == "$" else [token]
            continue
        while words and re.match(r"[A-Za-z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        if words:
            yield tuple(words)
        words = []
