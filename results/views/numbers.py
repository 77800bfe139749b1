"""Numbers as text: rounded to what they are worth, with their interval."""

import math
from collections.abc import Sequence

from results.stats.intervals import Interval

NONE = "–"
MINUS = "−"


def significant(value: float, digits: int = 3) -> str:
    """Rounded to significant figures, never in exponent form for what a table holds."""
    if value is None or not math.isfinite(value):
        return NONE if value is None or math.isnan(value) else str(value)
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 8)}f}".replace("-", MINUS)


def fixed(value: float, decimals: int) -> str:
    """Rounded to decimals."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def with_interval(interval: Interval, decimals: int | None = None) -> str:
    """The value with its interval in brackets, if it has one; significant figures by default.

    A 95 % interval is in square brackets, a range in round ones. The bounds are rounded
    like the value.
    """
    if decimals is None and math.isfinite(interval.value) and interval.value != 0:
        decimals = max(0, 2 - math.floor(math.log10(abs(interval.value))))
    text = fixed(interval.value, decimals or 0)
    if math.isnan(interval.low):
        return text
    low, high = fixed(interval.low, decimals or 0), fixed(interval.high, decimals or 0)
    return f"{text} ({low} to {high})" if interval.is_range else f"{text} [{low}, {high}]"


def spread(values: Sequence[float], decimals: int) -> str:
    """Lowest and highest value, or the one value."""
    low, high = fixed(min(values), decimals), fixed(max(values), decimals)
    return low if low == high else f"{low} to {high}"


def listed(names: list[str]) -> str:
    """Names in one phrase: "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
