"""Deliberate faults, each injected in one framework: a ladder that cannot fail is worth nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def mutated(mutant: str, framework: str) -> Iterator[None]:
    """Run with the named fault in this process; the empty name is no fault."""
    if mutant:
        raise ValueError(f"unknown mutant '{mutant}' for {framework}.")
    yield
