"""Damage done to files and to command lines, drawn from a seed."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

ODD = (
    *(None, True, -1, 0, 1, 2**63, -(2**70), 10**30, 0.5, 1e308, "", "x", "../../../evil", "[red]"),
    *(
        "\x1b[31m",
        "a" * 400,
        "nan",
        [],
        [1],
        ["a"],
        {},
        {"a": 1},
        [[[[]]]],
        "0001-01-01T00:00+23:59",
    ),
)
TOML = (
    *(
        "-1",
        "0",
        "9223372036854775808",
        "1e999",
        "nan",
        "inf",
        "''",
        "'x'",
        "'../../../evil'",
        "[]",
    ),
    *("[1]", "{}", "{a = 1}", "true", "1979-05-27", "'[red]'", "[[]]", "1" * 5000, "'\\u0000'"),
    *('"\\u0000"', '"a\\u0000.toml"', '"\\u001b[31m"', '"a\\nb"', '"~nobody/x"', '"\\u202e"'),
)
WORDS = (
    *("", "0", "-1", "1_000", "٣", "９", "nan", "inf", "1e999", "9223372036854775808", "1" * 400),
    *(
        "../../../evil",
        "[red]",
        "x[/red]",
        "\x1b[31m",
        "\udcff",
        "a,b",
        "a=b",
        "=",
        "--",
        "-x",
        "--x",
    ),
    *("latest", "none", "/dev/null", ".", "é", "field=value", "sgd,momentum=x", "patience=٣"),
)


def of_bytes(content: bytes, draw: random.Random) -> bytes:
    """Bytes flipped, cut out, doubled, zeroed, or the end gone."""
    found = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        place = draw.randrange(len(found) + 1)
        length = draw.choice((1, 2, 8, 64, 1024))
        kind = draw.randrange(6)
        if kind == 0 and found:
            place = min(place, len(found) - 1)
            found[place] = draw.randrange(256)
        elif kind == 1:
            del found[place : place + length]
        elif kind == 2:
            found[place:place] = found[place : place + length]
        elif kind == 3:
            found[place : place + length] = bytes(min(length, len(found) - place))
        elif kind == 4:
            found[place : place + 8] = draw.choice((b"\xff" * 8, b"\x7f" + b"\xff" * 7))
        else:
            del found[place:]
    return bytes(found)


def of_json(content: bytes, draw: random.Random) -> bytes:
    """A value anywhere in it replaced by an odd one, or left out; or its bytes damaged."""
    if draw.random() < 0.2:
        return of_bytes(content, draw)
    if draw.random() < 0.02:
        return b"[" * draw.choice((100, 100_000))
    tree: Any = json.loads(content)
    for _ in range(draw.choice((1, 1, 2))):
        tree = _replaced(tree, draw)
    return json.dumps(tree).encode()


def _replaced(tree: Any, draw: random.Random) -> Any:
    places: list[tuple[Any, Any]] = []
    left = [tree]
    while left:
        node = left.pop()
        keys = (
            list(node)
            if isinstance(node, dict)
            else range(len(node))
            if isinstance(node, list)
            else ()
        )
        for key in keys:
            places.append((node, key))
            left.append(node[key])
    if not places or draw.random() < 0.02:
        return copy.deepcopy(draw.choice(ODD))
    node, key = draw.choice(places)
    if isinstance(node, dict) and draw.random() < 0.3:
        del node[key]
    else:
        node[key] = copy.deepcopy(draw.choice(ODD))
    return tree


def of_toml(content: bytes, draw: random.Random) -> bytes:
    """The value of a line made an odd one; a line doubled or left out; or its bytes damaged."""
    if draw.random() < 0.2:
        return of_bytes(content, draw)
    if draw.random() < 0.02:
        return b"x = " + b"[" * draw.choice((100, 2_000, 100_000))
    lines = content.decode().splitlines()
    place = draw.randrange(len(lines))
    kind = draw.randrange(4)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(place, lines[draw.randrange(len(lines))])
    else:
        lines[place] = re.sub(r"=.*", lambda _: f"= {draw.choice(TOML)}", lines[place])
    return "\n".join(lines).encode()


def of_words(options: list[str], draw: random.Random) -> list[str]:
    """Options of a command with odd values, some of them misspelt."""
    words: list[str] = []
    for _ in range(draw.randrange(1, 4)):
        option = draw.choice(options)
        if draw.random() < 0.1:
            option = option[:-1]
        words.append(option)
        words += [draw.choice(WORDS) for _ in range(draw.choice((0, 1, 1, 2)))]
    return words
