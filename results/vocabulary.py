"""The words that runs are described by, stated once, and what is said of a misspelt one.

This module imports nothing of the project, so that every part of it can: it stands at the bottom.
A tuple of the words is `typing.get_args` of their type.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

Parity = Literal["matched", "native"]
Unstated = Literal["project", "keras", "torch", "jax"]
Tuning = Literal["idiomatic", "tuned"]
Precision = Literal["float64", "float32", "tf32", "float16", "bfloat16"]  # the most exact first
Device = Literal["cpu", "cuda"]
AskedDevice = Literal["auto", Device]
Feed = Literal["auto", "staged", "streamed"]
Labels = Literal["native", "4way", "3way", "hubble"]
Augmentation = Literal["none", "crops40", "dihedral"]
SplitBy = Literal["galaxy", "copy"]
TestCopies = Literal["centre", "all"]

# Other names of ours, which no comparison of letters finds, or finds wrongly ("cpu" for "gpu").
_OTHER_NAMES = {
    **dict.fromkeys(("gpu", "nvidia", "cuda:0", "gpu:0"), "cuda"),
    **dict.fromkeys(("tensorflow", "tf", "tf.keras", "keras@tensorflow", "keras@tf"), "keras"),
    **dict.fromkeys(("pytorch", "libtorch"), "torch"),
    **dict.fromkeys(("flax", "nnx", "linen", "xla"), "jax"),
    **dict.fromkeys(("keras@pytorch", "keras-torch"), "keras@torch"),
    **dict.fromkeys(("keras@flax", "keras-jax"), "keras@jax"),
    **dict.fromkeys(("half", "fp16", "amp", "mixed_float16"), "float16"),
    **dict.fromkeys(("bf16", "mixed", "mixed_bfloat16"), "bfloat16"),
    **dict.fromkeys(("fp32", "f32", "single"), "float32"),
    **dict.fromkeys(("fp64", "f64", "double"), "float64"),
    **dict.fromkeys(("tensorfloat32", "tensorfloat-32"), "tf32"),
    "center": "centre",
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most likely stands for, whatever its case; None without one."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    word = word.lower()
    if _OTHER_NAMES.get(word) in by_lower:
        return by_lower[_OTHER_NAMES[word]]
    match = difflib.get_close_matches(word, by_lower, n=1)
    return by_lower[match[0]] if match else None


def near_miss(word: str, known: Iterable[str]) -> str:
    """ " (did you mean '...'?)" with the known word nearest to `word`, or ""."""
    match = nearest(word, known)
    return "" if match is None else f" (did you mean '{match}'?)"


def unknown(what: str, word: str, known: Iterable[str], near: Iterable[str] | None = None) -> str:
    """The message for a word that is not among the known ones: near miss, then all of them.

    The near miss is one of `near` where more is taken than the known words.
    """
    known = list(known)
    hint = near_miss(word, known if near is None else near)
    return f"unknown {what} '{word}'{hint}. Known: {', '.join(known)}."
