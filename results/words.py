"""Numbers with their nouns, and lists that begin with what is commonest."""

import re
from collections import Counter

_HISSING = re.compile(r"(s|x|z|sh|(?<!epo)ch)$")  # takes "es"
_CONSONANT_Y = re.compile(r"([^aeiou])y$")  # takes "ies"


def plural(noun: str) -> str:
    """A noun of several: "seeds", "batches", "galaxies", "pairs of frameworks"."""
    head, of, rest = noun.partition(" of ")
    if of:
        return f"{plural(head)}{of}{rest}"
    if _HISSING.search(noun):
        return f"{noun}es"
    return _CONSONANT_Y.sub(r"\1ie", noun) + "s"


def nouns(number: float, noun: str, several: str = "") -> str:
    """The form of a noun that goes with a number; several: its plural where that is irregular."""
    return noun if number == 1 else several or plural(noun)


def count(number: float, noun: str, several: str = "") -> str:
    """A whole number with its noun: "1 seed", "3 seeds", "12,000 galaxies"."""
    return f"{number:,.0f} {nouns(number, noun, several)}"


def mostly(values: dict[str, str]) -> str:
    """The commonest value first, then the exceptions, as in "3 runs each; c2 JAX: 2 runs"."""
    if not values:
        return ""
    (common, number), *_ = Counter(values.values()).most_common()
    others = [f"{name}: {value}" for name, value in values.items() if value != common]
    each = " each" if number > 1 else ""
    return "; ".join([common + each, *others])
