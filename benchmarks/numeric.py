"""Numbers of a command line, for `type=` of argparse: what is not one is said in its error."""

from __future__ import annotations

import argparse
from typing import Any


def natural(text: str) -> int:
    """0, 1, 2, ..."""
    return _number(text, int, 0, "a whole number, 0 or more")


def positive(text: str) -> int:
    """1, 2, 3, ..."""
    return _number(text, int, 1, "a whole number, 1 or more")


def seconds(text: str) -> float:
    """0 or more, finite"""
    return _number(text, float, 0, "a number of seconds, 0 or more")


def share(text: str) -> float:
    """0 or more, finite"""
    return _number(text, float, 0, "a number, 0 or more")


def _number(text: str, kind: type, least: int, wanted: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not least <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not {wanted}")
    return value
