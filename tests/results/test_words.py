"""Numbers with their nouns; and no sentence of the product says "1 galaxies"."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from results.words import count, mostly, nouns

PRODUCT = ("benchmarks", "datasets", "frameworks", "galaxy_benchmark", "report", "results")
COUNTED = """
    answer array batch benchmark block byte case cell check class column comparison copy core entry
    epoch execution experiment field file framework galaxy group image layer map mutant network
    number operation optimizer output pair parameter part picture process program replica row run
    schedule seed series session step table thread training trial try value vote weight
"""
# The noun behind a number, after an adjective at the most; "3 of the runs" is another matter.
PLURALS = {nouns(2, noun) for noun in COUNTED.split()}
PAIRS = [{noun, nouns(2, noun)} for noun in COUNTED.split()]
_NOUN = re.compile(
    r" (?!(?:and|at|but|by|for|in|of|on|or|to|the|with) )(?:[a-z]*[a-rt-z] )?([a-z]+)\b"
)
# What stands before such a word and is no number, or several numbers in words.
NO_NUMBERS = {
    *("name", "rung", "shape", "Path(suite.dataset).stem"),
    *("' and '.join(map(str, heads))", "_each(steps)", "_span(few)"),
    "least",  # benchmarks/gpu/session.py has a sentence of its own for one
}


def test_a_noun_goes_with_its_number():
    assert count(1, "process") == "1 process"
    assert count(2, "process") == "2 processes"
    assert count(0, "galaxy") == "0 galaxies"
    assert count(12_000, "test galaxy") == "12,000 test galaxies"
    assert count(2, "batch") == "2 batches"
    assert count(2, "epoch") == "2 epochs"
    assert count(3, "pair of frameworks") == "3 pairs of frameworks"
    assert count(2, "axis", "axes") == "2 axes"
    assert nouns(1, "seed") == "seed"


def test_the_commonest_comes_first():
    assert mostly({"x": "3", "y": "3", "z": "2"}) == "3 each; z: 2"
    assert mostly({"x": "3"}) == "3"
    assert mostly({}) == ""


def bare(source: str) -> Iterator[str]:
    """Places of f-strings where a variable number stands before a plural, not made by `count`."""
    for node in ast.walk(ast.parse(source)):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for number, text in pairwise(parts):
            if isinstance(number, ast.FormattedValue) and isinstance(text, ast.Constant):
                shown, noun = ast.unparse(number.value), _NOUN.match(text.value)
                constant = re.search(r"(^|\.)_?[A-Z_]{2,}(\[\w+\])?$", shown)
                if noun and noun[1] in PLURALS and not constant and shown not in NO_NUMBERS:
                    yield f"line {number.lineno}: {{{shown}}}{noun[0]}"
        ends = [node.body, node.orelse] if isinstance(node, ast.IfExp) else []
        ends += [node.left] if isinstance(node, ast.BinOp) else []
        words = {end.value for end in ends if isinstance(end, ast.Constant)}
        if words in ({"s"}, {"s", ""}, {"y", "ies"}) or words in PAIRS:
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("folder", PRODUCT)
def test_numbers_are_counted_by_one_function(folder):
    files = sorted(Path(folder).rglob("*.py"))
    found = [f"{file}, {place}" for file in files for place in bare(file.read_text())]
    assert not found, "use results.words.count"


def test_the_search_finds_what_it_is_for():
    assert list(bare("f'{len(runs)} runs'")) == ["line 1: {len(runs)} runs"]
    assert list(bare("f'of {n:,} test galaxies.'")) == ["line 1: {n} test galaxies"]
    assert list(bare("'seed' if n == 1 else 'seeds'"))
    assert not list(bare("f'{count(n, \"run\")} of {MOST_RUNS} runs'"))
