"""Names that users and other programs give, quoted for where they go: one function for each place.

A network, a data set, a class, a commit, a benchmark of another tool: none of their names reaches a
path, a terminal, a page or a figure but through here (tests/results/test_names.py looks for that).
This module imports nothing of the project, so that every part of it can.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

FIGURE = 80  # characters of a line beside axes
LONGEST = 120  # bytes of a file's name; writers put a prefix before it, and file systems end at 255

_UNSAFE = re.compile(r"[^a-zA-Z0-9@+=,._-]+")
# Names of devices on Windows, with any ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
# What turns the direction of text, or ends a line, without being a control character.
_UNSEEN = frozenset("\u061c\u200e\u200f\u2028\u2029\ufeff") | frozenset(
    map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)


def file_name(text: object, ending: str = "") -> str:
    """The name of a file or directory that stands for a text, on every file system.

    A text of lower-case letters, digits and `@+=,._-` is its own name. Of any other the rest is
    replaced by `_`, and a hash follows after `~`: different texts have different names, also where
    upper and lower case are one.

    Args:
        text: a name as a user or another program gave it.
        ending: of the file, with its dot; of our own choosing, and taken as it is.

    Example:
        >>> file_name("unam", ".png"), file_name("../my/Net")
        ('unam.png', '_.._my_Net~45157aad')
    """
    word = str(text)
    safe = _UNSAFE.sub("_", word)
    if safe[:1] in ("", ".", "-"):  # hidden, the directory itself or above it, or an option
        safe = f"_{safe}"
    room = LONGEST - len(ending)
    taken = safe != word or safe != safe.lower() or safe.endswith(".") or _DEVICE.fullmatch(safe)
    if taken or len(safe) > room:
        digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        safe = f"{safe[: room - 9].rstrip('.')}~{digest}"
        if _DEVICE.fullmatch(safe):  # "con.~..." is the device as well
            safe = f"_{safe}"
    return f"{safe}{ending}"


def beneath(directory: Path, *parts: object, ending: str = "") -> Path:
    """A path inside a directory, whatever the parts are called: each is one `file_name`."""
    *folders, last = parts
    return directory.joinpath(*map(file_name, folders), file_name(last, ending))


def printable(text: object) -> str:
    r"""A text for a terminal, lines and tabs kept: what would steer the terminal is written out.

    That is control characters (`\x1b`), marks that turn the direction of writing, and bytes that
    are no UTF-8 (`\xff`, in the name of a file).
    """
    word = str(text)
    return word if word.isprintable() else "".join(map(_shown, word))


def in_line(text: object) -> str:
    """A text for a terminal, in one line: white space of any length becomes one space."""
    return printable(" ".join(str(text).split()))


def for_figure(text: object, longest: int = FIGURE) -> str:
    """A text for a figure, in which a dollar sign does not start a formula.

    A line of more characters than `longest` would leave no room for the axes: its middle is left
    out. What tells it apart stands at its beginning or its end; the data beside has it whole.
    """
    lines = (_cut(line, longest) for line in printable(text).split("\n"))
    return "\n".join(lines).replace("$", r"\$")


def _cut(line: str, longest: int) -> str:
    half = longest // 2
    return line if len(line) <= longest else f"{line[:half]}…{line[half + 1 - longest :]}"


def _shown(one: str) -> str:
    code = ord(one)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as Python holds it (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if one in "\n\t" or not (one in _UNSEEN or unicodedata.category(one) in ("Cc", "Cs")):
        return one
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
