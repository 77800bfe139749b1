"""The page of a comparison: offline, the verdict first, layers side by side, nothing unescaped."""

import re

from benchmarks.port.align import Pair
from benchmarks.port.answer import Answer, status
from benchmarks.port.compare import DIFFERENT, EQUAL, UNKNOWN, Found
from benchmarks.port.difference import Difference
from benchmarks.port.outputs import Row
from benchmarks.port.page import page
from tests.benchmarks.port.test_write import conv, listing

EVIL = '<script>alert("1")</script>'


def answer(verdict: str = "differ first in conv_0: padding", code: int = DIFFERENT) -> Answer:
    one, other = listing(), listing()
    one.operations[0] = conv(0, "pictures", 4, 8, padding=[[0, 1], [0, 1]])
    one.operations[0].name = EVIL
    found = Found(
        status=code,
        verdict=verdict,
        differences=[
            Difference(
                stage="outputs", place=EVIL, constant="padding", a="(0, 1)", b="1", effect=0.5
            )
        ],
        without=[],
        rows=[
            Row(pair=Pair(a=a, b=b), through=1e-3, alone=float("inf"))
            for a, b in zip(one.operations, other.operations, strict=True)
        ],
        measured={"outputs": 1e-3},
        mapping={"a": "a"},
        unread=[EVIL],
        notes=[EVIL],
        stopped=EVIL,
        listings=(one, other),
    )
    return Answer(labels=("a.py:make", f"b.py:{EVIL}"), found=found)


def test_the_page_needs_no_network_and_escapes_what_users_wrote() -> None:
    text = page([answer()])
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 5
    assert not re.search(r"https?://", text)
    assert not re.search(r"<(link|img|iframe)[^>]*(href|src)=\"(?!data:)", text)


def test_the_verdict_stands_first_and_layers_side_by_side() -> None:
    text = page([answer()])
    assert text.index("differ first in conv_0: padding") < text.index("<table")
    (layers,) = re.findall(r'<section id="layers">.*?</section>', text, re.DOTALL)
    assert layers.count("<tr>") == 1 + len(listing().operations)
    assert ">padding</td>" in layers  # the constant that differs, of its layer alone
    assert layers.count(">padding</td>") == 1
    assert "not comparable" in layers


def test_several_pairs_have_a_verdict_each() -> None:
    equal = answer("equal to 3e-13 through 8 steps", EQUAL)
    failed = Answer(labels=("a.py:make", "c.py:Net"), error="c.py: no such file")
    text = page([equal, answer(), failed])
    for verdict in ("equal to 3e-13 through 8 steps", "differ first", "c.py: no such file"):
        assert text.index(verdict) < text.index("<table")
    ids = re.findall(r'id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert status([equal, failed, answer()]) == 2
    assert status([equal, answer("?", UNKNOWN), answer()]) == DIFFERENT
    assert status([equal, answer("?", UNKNOWN)]) == UNKNOWN
    assert status([equal, equal]) == EQUAL
