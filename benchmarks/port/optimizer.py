"""The optimizers given the same gradients, and which of their constants is to blame."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.port import lines
from benchmarks.port.difference import SAME, Difference, apart, of_constant, unlike, words
from benchmarks.port.recipes import WHOLE
from benchmarks.port.session import Arrays, Session


def optimizers(session: Session, given: Arrays) -> None:
    """Steps given the same gradients; which constant is to blame is shown by setting all others
    alike, and by setting it alike as well."""
    a, b = session.listing_a.recipe, session.listing_b.recipe
    if not a.optimizer or not b.optimizer:
        if a.optimizer or b.optimizer:
            name = "A" if a.optimizer else "B"
            session.notes.append(f"only {name} has an optimizer; none was compared")
        return
    _measure_decay(session)
    if session.decay_moved:
        moved = [
            (side, recipe.optimizer["weight_decay"])
            for side, recipe in ((session.a, a), (session.b, b))
            if recipe.optimizer.pop("decay_form", None)
        ]
        for recipe in (a, b):
            recipe.optimizer["weight_decay"] = 0.0
        for side, _ in moved:
            side.ask("change_optimizer", constant="weight_decay", value=0.0)
        try:
            session.decay_moved = False
            optimizers(session, given)
        finally:
            session.decay_moved = True
            for side, value in moved:
                side.ask("change_optimizer", constant="weight_decay", value=value)
        return
    sets = _gradient_sets(session, given)
    of_a = _updates(session, session.a, sets, session.loaded_a)
    mapped = [session.to_b(one) for one in sets]

    def put(constant: str, value: Any) -> bool:
        return bool(session.b.ask("change_optimizer", constant=constant, value=value)[0])

    of_b = _updates(session, session.b, mapped, session.loaded_b)
    effect = _far_steps(session, of_a, of_b)
    session.measured["optimizer's steps given the same gradients"] = effect
    off = (None, False)  # a switch that a framework has no word for is off
    found = [
        (constant, x, y)
        for constant, x, y in unlike(a.optimizer, b.optimizer)
        if x not in off or y not in off
    ]
    for beginning, whole in WHOLE.items():  # what only one of them has is named once
        if (whole in a.optimizer) != (whole in b.optimizer):
            found = [one for one in found if one[0] == whole or not one[0].startswith(beginning)]
    if any(_no_decay(recipe.optimizer) for recipe in (a, b)):
        found = [one for one in found if one[0] not in ("undecayed", "decay_form")]
    apart_by_schedule = _forms_apart(a.rates or b.rates, a.optimizer.get("momentum") or 0.0)
    for constant, x, y in found:
        if constant == "velocity_form" and apart_by_schedule > SAME and x and y:
            shown = "at one rate both forms take the same steps; under this schedule they do not"
            session.differences.append(
                _of_optimizer(session, constant, x, y, apart_by_schedule, shown)
            )
        for beginning, (own, shown) in _UNSEEN.items():
            if constant.startswith(beginning):
                session.differences.append(_of_optimizer(session, constant, x, y, own, shown))
    found = [one for one in found if not one[0].startswith(tuple(_UNSEEN))]
    if apart_by_schedule > SAME:
        found = [one for one in found if one[0] != "velocity_form"]
    if effect <= SAME:
        _without_effect(session, found)
        return
    # at one rate both forms of a velocity take the same steps
    _without_effect(session, [one for one in found if one[0] == "velocity_form"])
    found = [one for one in found if one[0] != "velocity_form"]
    names = {name for name, _, _ in found}
    if "kind" in names:
        found = [one for one in found if one[0] == "kind"]
    elif "clipping" in names:  # limits of two kinds of clipping are not alike
        found = [one for one in found if not one[0].startswith("clipping_")]
    sizes = _norm(of_a[0]), _norm(of_b[0])
    ratio = sizes[1] / sizes[0] if all(sizes) else 1.0
    first = f"B's first step is {ratio:.4g} times A's" if abs(ratio - 1) > 1e-3 else ""
    settable = [c for c, x, _ in found if c != "kind" and x is not None and put(c, x)]
    alike = _updates(session, session.b, mapped, session.loaded_b) if settable else of_b
    left = _far_steps(session, of_a, alike)
    for constant, x, y in found:
        own, told = left, f"{left:.2g} apart with all else set alike"
        if constant in _NEUTRAL and left > SAME:
            own = _share(session, constant, left, sets, mapped)
        if constant in settable:
            put(constant, y)
            own = _moved(alike, _updates(session, session.b, mapped, session.loaded_b))
            put(constant, x)
            told = f"by this alone the steps are {own:.2g} apart"
            told += "; with A's value B's steps are A's" if left <= SAME else ""
        shown = "; ".join(filter(None, [first, told]))
        session.differences.append(_of_optimizer(session, constant, x, y, own, shown))
    limited = [
        of_constant(
            "optimizer",
            pair.name,
            constant,
            (x, y),
            effect,
            shown="a constraint moves the weights after each step",
            stated=(pair.a.stated, pair.b.stated),
            where=(pair.a.where, pair.b.where),
        )
        for pair in session.pairs
        if pair.a is not None and pair.b is not None
        for constant, x, y in unlike(pair.a.constants, pair.b.constants)
        if constant.endswith("constraint")
    ]
    session.differences += limited
    if not found and not limited:
        told = f"given the same gradients the steps are {effect:.2g} apart, with constants alike"
        kinds = a.optimizer["kind"], b.optimizer["kind"]
        session.differences.append(_of_optimizer(session, "what it computes", *kinds, effect, told))


def _forms_apart(rates: dict[int, float], momentum: float) -> float:
    """Largest distance of the steps of a velocity with the rate inside and outside of it.

    The gradient is the same in all steps; rates between those that are known are on a line.
    """
    if len(set(rates.values())) < 2:
        return 0.0
    inside = outside = worst = 0.0
    for rate in np.interp(range(_STEPS), list(rates), list(rates.values())):
        inside, outside = momentum * inside + rate, momentum * outside + 1
        if inside:
            worst = max(worst, float(abs(inside - rate * outside) / inside))
    return worst


_STEPS = 200


def _no_decay(constants: dict[str, Any]) -> bool:
    return not constants.get("weight_decay")


# By the beginnings of their names, constants that no step shows: an effect, and why.
_UNSEEN = {
    "average_": (1.0, "no step shows it: at the end the average takes the place of the weights"),
    "loss_scale": (0.0, "it acts in float16, and all is computed in float64"),
}
# What makes two forms of an optimizer the same: without an epsilon its place does not matter.
_NEUTRAL = {
    "epsilon_form": ("epsilon", 1e-30),
    "epsilon_in_root": ("epsilon", 1e-30),
    "decay_form": ("weight_decay", 0.0),
}


def _share(
    session: Session, constant: str, left: float, sets: list[Arrays], mapped: list[Arrays]
) -> float:
    """The decrease of the remaining distance when the constant is set so that it cannot matter.

    `left` itself where a program cannot be set so.
    """
    name, value = _NEUTRAL[constant]
    a, b = session.listing_a.recipe.optimizer, session.listing_b.recipe.optimizer
    both = [
        side.ask("change_optimizer", constant=name, value=value)[0]
        for side in (session.a, session.b)
    ]
    if not all(both):
        return left
    now = _far_steps(
        session,
        _updates(session, session.a, sets, session.loaded_a),
        _updates(session, session.b, mapped, session.loaded_b),
    )
    for side in (session.a, session.b):  # B has A's value where they differ
        side.ask("change_optimizer", constant=name, value=a.get(name, b.get(name)))
    return max(left - now, 0.0) if now < left else 0.0


def _measure_decay(session: Session) -> None:
    """Measure if Adam's weight decay is coupled or decoupled.

    Without a gradient, a decoupled decay moves each weight by a share of itself; a coupled one
    moves all weights by the learning rate.
    """
    for side, listing, loaded in (
        (session.a, session.listing_a, session.loaded_a),
        (session.b, session.listing_b, session.loaded_b),
    ):
        optimizer = listing.recipe.optimizer
        if optimizer["kind"] != "adam" or not optimizer.get("weight_decay"):
            continue
        kernels = {k: v for k, v in loaded.items() if v.ndim > 1 and k not in listing.fixed}
        zeros = {k: np.zeros_like(v) for k, v in loaded.items() if k not in listing.fixed}
        (after,) = session.steps(side, [zeros])
        moved = np.concatenate([(after[k] - v).ravel() for k, v in kernels.items()])
        value = np.concatenate([v.ravel() for v in kernels.values()])
        big = np.abs(value) > 1e-3
        share = moved[big] / value[big]
        decoupled = bool(np.ptp(share) <= 1e-6 * abs(share).max())
        optimizer["decay_form"] = "decoupled" if decoupled else "coupled"


def _gradient_sets(session: Session, given: Arrays) -> list[Arrays]:
    """The gradients of a batch, smaller ones, larger ones, and the first again."""
    carried = {w.a for w in session.weights if w.a in given}
    first = {k: v for k, v in given.items() if k in carried}
    return [
        first,
        {k: v * 0.3 for k, v in first.items()},
        {k: v * -100.0 for k, v in first.items()},  # so that AMSGrad's largest one stays
        first,
    ]


def _updates(session: Session, side: Any, sets: list[Arrays], start: Arrays) -> list[Arrays]:
    after = session.steps(side, sets)
    found, before = [], start
    for now in after:
        found.append({k: v - before[k] for k, v in now.items()})
        before = now
    return found


def _far_steps(session: Session, of_a: list[Arrays], of_b: list[Arrays]) -> float:
    worst, still = 0.0, [*session.trained_by_one(), *session.shared_by_one()]
    for one, other in zip(of_a, of_b, strict=True):
        whole = [
            (one[w.a].ravel(), other[w.b].ravel())
            for w in session.weights
            if w.a in one and w.b in other and w not in still
        ]
        if whole:
            worst = max(
                worst,
                apart(np.concatenate([x for x, _ in whole]), np.concatenate([y for _, y in whole])),
            )
    return worst


def _moved(before: list[Arrays], after: list[Arrays]) -> float:
    """Largest distance by which a constant changes the steps of one program."""
    return max(
        apart(_flat(one, one), _flat(other, one)) for one, other in zip(before, after, strict=True)
    )


def _flat(arrays: Arrays, order: Arrays) -> np.ndarray:
    return np.concatenate([arrays[key].ravel() for key in order])


def _norm(arrays: Arrays) -> float:
    return float(sum(float((v**2).sum()) for v in arrays.values()) ** 0.5)


def _of_optimizer(
    session: Session, constant: str, x: Any, y: Any, effect: float, shown: str
) -> Difference:
    a, b = session.listing_a.recipe, session.listing_b.recipe
    align, recipe_words = [], {**a.optimizer, **b.optimizer}
    for name, listing, value, given, where in (
        ("B", session.listing_b, x, a, b.optimizer_where),
        ("A", session.listing_a, y, b, a.optimizer_where),
    ):
        kind, line = str(listing.recipe.optimizer["kind"]), ""
        if constant == "clipping":
            limit = given.optimizer.get("clipping_limit")
            line = lines.clipping(listing.framework, str(value), limit)
        elif value is not None and constant in recipe_words:
            line = lines.optimizer(listing.framework, kind, constant, value)
        if line:
            align.append(f"in {name}: {line}" + (f" ({where})" if where else ""))
    return of_constant(
        "optimizer",
        "optimizer",
        constant,
        (x, y),
        effect,
        shown=shown,
        stated=(a.optimizer_stated, b.optimizer_stated),
        where=(a.optimizer_where, b.optimizer_where),
        align=align,
    )


def _without_effect(session: Session, found: list[tuple[str, Any, Any]]) -> None:
    for constant, x, y in found:
        session.notes.append(
            f"optimizer: {constant} is {words(x)} in A and {words(y)} in B; it moved none of the "
            "four steps that were tried"
        )
