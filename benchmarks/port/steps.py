"""Whole training steps of both programs on the same batches."""

from __future__ import annotations

import numpy as np

from benchmarks.port.difference import SAME, Difference, apart
from benchmarks.port.session import Arrays, Session
from results import words

_SHOWS = 1e-7  # a loss that is further off is told
_ROUNDING = 1000  # times what one unit in the last place of the pictures moves: 1e-13 of a cause


def steps(session: Session, count: int) -> None:
    """Whole steps on the same batches with the same masks.

    A deep network makes rounding large. So B also takes the steps on pictures that are changed in
    their last place; what is no further than that moves it is no difference.
    """
    recipes = session.listing_a.recipe, session.listing_b.recipe
    if not count or not all(r.optimizer and r.loss for r in recipes):
        return
    batches = [session.picture_pair() for _ in range(min(count, 4))]
    for_a, for_b, labels = (np.stack([one[place] for one in batches]) for place in range(3))
    masks = session.masks_of_steps(count)
    mine, theirs = [m[0] for m in masks], [m[1] for m in masks]
    losses_a, last_a = session.train(session.a, for_a, labels, mine)
    losses_b, last_b = session.train(session.b, for_b, labels, theirs)
    known = any(
        d.effect > SAME and d.stage not in ("running statistics", "own weights", "a bare call")
        for d in session.differences
    )
    far, weights = _far(losses_a, losses_b), _weights(session, last_a, last_b)
    if not known and max(*far, weights) > SAME:
        nudged = np.nextafter(for_b, np.inf)
        losses_n, last_n = session.train(session.b, nudged, labels, theirs)
        moved = max(*_far(losses_b, losses_n), *(apart(v, last_n[k]) for k, v in last_b.items()))
        if max(*far, weights) <= _ROUNDING * moved:
            session.notes.append(
                f"after {words.count(count, 'step')} the weights are {weights:.1e} apart; "
                f"pictures that are changed in their last place move B's by {moved:.1e}, so it is "
                "rounding"
            )
            far, weights = [0.0], 0.0
    if not session.decay_moved:  # one of the two reports the decay as loss
        session.measured[f"losses through {words.count(count, 'step')}"] = max(far)
    session.measured[f"weights after {words.count(count, 'step')}"] = weights
    first = next((n for n, value in enumerate(far) if value > _SHOWS), None)
    if first is not None and not known and not session.decay_moved:
        session.differences.append(
            Difference(
                stage="steps",
                place="training",
                constant="loss",
                a=f"{losses_a[first]:.6g} at step {first}",
                b=f"{losses_b[first]:.6g}",
                effect=max(far),
                shown="though gradients and the optimizer's steps are the same",
            )
        )


def _far(one: list[float], other: list[float]) -> list[float]:
    return [abs(x - y) / abs(x) if x else abs(y) for x, y in zip(one, other, strict=True)]


def _weights(session: Session, last_a: Arrays, last_b: Arrays) -> float:
    fixed = set(session.listing_a.fixed)
    return max(
        (
            apart(last_a[w.a], last_b[w.b])
            for w in session.weights
            if w.a in last_a and w.a not in fixed and w.a not in session.tiny and w.b in last_b
        ),
        default=0.0,
    )
