"""Alignment of two programs: the pairs of operations that correspond, and of their weights."""

from __future__ import annotations

import msgspec

from benchmarks.port.normal import Normal
from benchmarks.port.operation import Operation

_POOLS = ("max_pool", "average_pool", "adaptive_max_pool", "adaptive_average_pool")
_GAP, _NO = -1.0, float("-inf")


class Pair(msgspec.Struct, kw_only=True):
    """Operations that correspond; None where one program has no counterpart."""

    a: Operation | None
    b: Operation | None

    @property
    def both(self) -> bool:
        """True if the operation is in both programs."""
        return self.a is not None and self.b is not None

    @property
    def name(self) -> str:
        """Name in the first program, or else in the second; the kind if it has none."""
        one = self.a or self.b
        assert one is not None
        return one.name or one.kind


class Weight(msgspec.Struct, kw_only=True):
    """One weight of both programs: its names, its role and the operation that uses it."""

    a: str
    b: str
    role: str
    pair: Pair


def aligned(a: Normal, b: Normal) -> list[Pair]:
    """Both lists side by side, by the best global alignment (Needleman & Wunsch 1970)."""
    one, other = a.operations, b.operations
    best = [[0.0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) + 1):
        for j in range(len(other) + 1):
            if i or j:
                best[i][j] = max(
                    best[i - 1][j - 1] + _alike(one[i - 1], other[j - 1]) if i and j else _NO,
                    best[i - 1][j] + _GAP if i else _NO,
                    best[i][j - 1] + _GAP if j else _NO,
                )
    i, j, pairs = len(one), len(other), []
    while i or j:
        if i and j and best[i][j] == best[i - 1][j - 1] + _alike(one[i - 1], other[j - 1]):
            i, j = i - 1, j - 1
            pairs.append(Pair(a=one[i], b=other[j]))
        elif i and best[i][j] == best[i - 1][j] + _GAP:
            i -= 1
            pairs.append(Pair(a=one[i], b=None))
        else:
            j -= 1
            pairs.append(Pair(a=None, b=other[j]))
    return pairs[::-1]


def _alike(one: Operation, other: Operation) -> float:
    """Score of pairing two operations: the higher, the more alike; -inf of those never paired."""
    if one.kind != other.kind:
        alike = one.unread and other.unread and one.shape == other.shape
        return -0.5 if alike or (one.kind in _POOLS and other.kind in _POOLS) else _NO
    score = 2.0
    if one.shape == other.shape:
        score += 1.0
    for constant in ("function", "filters", "units", "kernel"):
        if constant in one.constants:
            score += 0.5 if one.constants[constant] == other.constants.get(constant) else -0.5
    if one.kind == "activation" and one.constants["function"] != other.constants["function"]:
        score -= 1.0
    return score


def weights(pairs: list[Pair]) -> list[Weight]:
    """The weights that both programs have, each once."""
    found: dict[tuple[str, str], Weight] = {}
    for pair in pairs:
        if pair.a is None or pair.b is None or pair.a.kind != pair.b.kind:
            continue
        for role, key in pair.a.parameters.items():
            if role in pair.b.parameters:
                other = pair.b.parameters[role]
                found.setdefault((key, other), Weight(a=key, b=other, role=role, pair=pair))
    return list(found.values())
