"""Name, order, colour and marker of each framework."""

from collections.abc import Iterable
from dataclasses import dataclass

from results.names import for_figure as plain

# Okabe and Ito's palette (2008), safe for the common kinds of colour blindness; a marker each, so
# that grey prints can be read too.
_KNOWN = {
    "keras": ("Keras (TensorFlow)", "#D55E00", "o"),
    "keras@torch": ("Keras (PyTorch)", "#CC79A7", "D"),
    "keras@jax": ("Keras (JAX)", "#E69F00", "v"),
    "torch": ("PyTorch", "#0072B2", "s"),
    "jax": ("JAX (Flax)", "#009E73", "^"),
}


_SPARE = (("#56B4E9", "P"), ("#000000", "X"), ("#B2A000", "*"), ("#8C6D31", "h"))


@dataclass(frozen=True)
class Look:
    """Name, colour and marker of a framework."""

    name: str
    colour: str
    marker: str


def looks(frameworks: Iterable[str]) -> dict[str, Look]:
    """A look for every framework; one that is not known takes the next spare colour."""
    found = {}
    spare = 0
    for framework in ordered(frameworks):
        if framework in _KNOWN:
            found[framework] = Look(*_KNOWN[framework])
        else:
            found[framework] = Look(plain(framework), *_SPARE[spare % len(_SPARE)])
            spare += 1
    return found


def ordered(frameworks: Iterable[str]) -> list[str]:
    """Distinct frameworks, the known ones first and always in the same order."""
    known = list(_KNOWN)
    return sorted(
        set(frameworks),
        key=lambda name: (known.index(name) if name in known else len(known), name),
    )
