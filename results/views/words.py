"""Words for pools of runs."""

from collections import Counter


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 seed", "3 seeds"."""
    several = plural or (f"{noun}es" if noun.endswith("s") else f"{noun}s")
    return f"{number:,} {noun if number == 1 else several}"


def mostly(values: dict[str, str]) -> str:
    """The commonest value first, then the exceptions, as in "3 runs each; c2 JAX: 2 runs"."""
    if not values:
        return ""
    (common, number), *_ = Counter(values.values()).most_common()
    others = [f"{name}: {value}" for name, value in values.items() if value != common]
    each = " each" if number > 1 else ""
    return "; ".join([common + each, *others])
