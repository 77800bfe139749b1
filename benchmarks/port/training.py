"""Loss, gradients and running statistics: where they part first."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from benchmarks.port import lines
from benchmarks.port.difference import (
    SAME,
    Difference,
    apart,
    of_constant,
    unlike,
    who_states,
    words,
)
from benchmarks.port.loss_forms import cross_entropy
from benchmarks.port.session import Arrays, Session
from benchmarks.port.wire import Side

_ROUNDING = 1e-7  # of the loss: a thousandth of its last place is SAME of that
_TINY = 1e-10  # of the largest gradient: a bias ahead of a batch norm has one of rounding alone


def losses(session: Session) -> None:
    """The losses' constants, and what each gives for the same outputs, also far from zero."""
    a, b = session.listing_a.recipe, session.listing_b.recipe
    if not a.loss or not b.loss:
        if a.loss or b.loss:
            session.notes.append(f"only {'A' if a.loss else 'B'} has a loss; none was compared")
        return
    logits = np.asarray(session.outputs)
    classes = logits.shape[-1] if logits.ndim > 1 else 2
    logits = np.resize(logits, (max(len(logits), classes), *logits.shape[1:]))
    labels = np.arange(len(logits)) % max(2, classes)  # of every class
    tries = [("", logits)]
    if a.loss["kind"] == b.loss["kind"] == "cross_entropy" and logits.ndim == 2:
        far = np.zeros_like(logits)
        far[np.arange(len(far)), (labels + 1) % far.shape[1]] = 40.0
        tries.append(("at outputs of 40 for a wrong class", far))
    found = {}
    for name, values in tries:
        for side, normal in ((session.a, session.normal_a), (session.b, session.normal_b)):
            arrays = {"outputs": values, "labels": labels}
            said, made = side.ask("loss_on", arrays, through=normal.folded)
            found[side is session.a] = said["loss"], made["gradient"]
        (loss_a, slope_a), (loss_b, slope_b) = found[True], found[False]
        effect = max(_relative(loss_a, loss_b), apart(slope_a, slope_b))
        session.measured[f"loss {name}".strip()] = effect
        if effect <= SAME:
            continue
        meant = [
            _meant(_seen(session, side, recipe.loss), normal)
            for side, recipe, normal in (
                (session.a, a, session.normal_a),
                (session.b, b, session.normal_b),
            )
        ]
        constants = list(unlike(*meant))
        if any(str(one["kind"]).startswith("unread:") for one in meant):
            constants = [one for one in constants if one[0] == "kind"]
        steep = f"largest gradient {np.abs(slope_a).max():.3g} and {np.abs(slope_b).max():.3g}"
        given = f"the same outputs {name}".strip()
        measured = f"{loss_a:.6g} in A, {loss_b:.6g} in B for {given}; {steep}"
        if not constants:
            constants = [("value" if not name else "value far from zero", loss_a, loss_b)]
            if name and any(abs(v - 16.118) < 0.01 for v in (loss_a, loss_b)):
                measured += (
                    "; -log(1e-7) is 16.118: probabilities are clipped ahead of the logarithm"
                )
        for constant, x, y in constants:
            session.differences.append(
                of_constant(
                    "loss",
                    "loss",
                    constant,
                    (x, y),
                    effect,
                    shown=measured,
                    stated=(a.loss_stated, b.loss_stated),
                    where=(a.loss_where, b.loss_where),
                )
            )
        break


def _seen(session: Session, side: Side, loss: dict[str, Any]) -> dict[str, Any]:
    """Constants of a loss; of a function of the user's own as its values show them."""
    if not str(loss["kind"]).startswith("unread:") or np.ndim(session.outputs) != 2:
        return loss
    seen = cross_entropy(side, session.labels, session.outputs.shape[1])
    return loss if seen is None else {**seen, "class_weights": None}


def _meant(loss: dict[str, Any], normal: Any) -> dict[str, Any]:
    """Constants of a loss, where a softmax that belongs to it makes it one of logits."""
    folded = {"takes": "logits"} if normal.folded else {}
    return {**loss, **folded}


def _relative(one: float, other: float) -> float:
    return abs(one - other) / abs(one) if one else abs(other)


def gradients(session: Session) -> Arrays:
    """Loss, gradients and running statistics of one batch; gives A's gradients."""
    masks = session.masks()
    said_a, of_a, after_a = session.gradients(session.a, masks[0])
    said_b, of_b, after_b = session.gradients(session.b, masks[1])
    _regularizers(session, said_a, said_b)
    _statistics(session, after_a, after_b)
    session.tiny = _tiny(of_a)
    common = [w for w in session.weights if w.a in of_a and w.b in of_b and w.a not in session.tiny]
    floor = _ROUNDING * abs(said_a["loss"])
    far = {w.a: _scaled(of_a[w.a], of_b[w.b], of_a, floor) for w in common}
    worst = max(far.values(), default=0.0)
    session.measured["gradients"] = worst
    _frozen(session)
    shared = _shared(session)
    alike = session.measured["outputs in training mode"] <= SAME
    explained = any(
        d.stage == "loss" and d.effect > SAME and "regularizer" not in d.constant
        for d in session.differences
    )
    if worst > SAME and alike and not explained and not shared:
        decay_a, decay_b = (
            s.recipe.optimizer.get("weight_decay", 0.0)
            if s.recipe.optimizer.get("decay_form") == "coupled"
            else 0.0
            for s in (session.listing_a, session.listing_b)
        )
        with_decay = max(
            _scaled(
                of_a[w.a] + decay_a * session.loaded_a[w.a],
                of_b[w.b] + decay_b * session.loaded_b[w.b],
                of_a,
                floor,
            )
            for w in common
        )
        if (decay_a or decay_b) and with_decay <= SAME:
            session.decay_moved = True
            session.measured["gradients"] = with_decay
            session.notes.append(
                "the decay stands in the loss of one program and in the optimizer of the other; "
                f"with it the gradients are the same to {with_decay:.0e}, and the losses that are "
                f"reported are not: {said_a['loss']:.6g} in A, {said_b['loss']:.6g} in B"
            )
            session.differences = [
                d for d in session.differences if "regularizer" not in d.constant
            ]
        elif not any("regularizer" in d.constant for d in session.differences):
            name = max(far, key=lambda k: far[k])
            session.differences.append(
                Difference(
                    stage="gradients",
                    place=name,
                    constant="gradient",
                    a=f"{np.abs(of_a[name]).max():.4g} at most",
                    b=f"{np.abs(of_b[next(w.b for w in common if w.a == name)]).max():.4g} at most",
                    effect=worst,
                    shown="though outputs and loss are the same",
                )
            )
    return of_a


def untold(session: Session) -> None:
    """Note the constants that act in training alone, which was not compared."""
    for pair in session.pairs:
        if pair.a is None or pair.b is None:
            continue
        for name, x, y in unlike(pair.a.constants, pair.b.constants):
            if name == "momentum" or name.endswith(("_regularizer", "_constraint")):
                session.notes.append(
                    f"{pair.name}: {name} is {words(x)} in A and {words(y)} in B; it acts in "
                    "training, which is not compared without a loss of both"
                )
    for weight in session.shared_by_one():
        session.notes.append(
            f"{weight.pair.name} {weight.role}: one program shares it with another layer"
        )


def _frozen(session: Session) -> None:
    """Weights that one program alone trains."""
    for weight in session.trained_by_one():
        still = weight.a in session.listing_a.fixed
        a, b = weight.pair.a, weight.pair.b
        assert a is not None
        assert b is not None
        session.differences.append(
            Difference(
                stage="gradients",
                place=f"{weight.pair.name} {weight.role}",
                constant="trained",
                a=words(not still),
                b=words(still),
                effect=1.0,
                shown="a weight that is not trained stays as it was",
                where=[a.where, b.where],
            )
        )


def _shared(session: Session) -> bool:
    """Name the weights that one program shares between layers and the other does not."""
    apart_in_b = Counter(w.a for w in session.weights)
    found = session.shared_by_one()
    for weight in found:
        of_a = apart_in_b[weight.a] > 1
        a, b = weight.pair.a, weight.pair.b
        session.differences.append(
            Difference(
                stage="gradients",
                place=f"{weight.pair.name} {weight.role}",
                constant="shared with another layer",
                a=words(of_a),
                b=words(not of_a),
                effect=1.0,
                shown="a weight that is used twice has the sum of both gradients",
                where=[one.where for one in (a, b) if one is not None],
            )
        )
    return bool(found)


def _scaled(one: np.ndarray, other: np.ndarray, every: Arrays, floor: float) -> float:
    """Largest difference of two gradients, relative to this one's largest value.

    The divisor is at least 1e-3 of the largest value of all gradients, and `floor`. Infinite where
    the sizes differ.
    """
    if one.size != other.size:
        return float("inf")
    largest = max(float(np.abs(v).max(initial=0.0)) for v in every.values())
    size = max(float(np.abs(one).max(initial=0.0)), 1e-3 * largest, floor)
    return float(np.abs(one.ravel() - other.ravel()).max(initial=0.0)) / size if size else 0.0


def _tiny(found: Arrays) -> set[str]:
    largest = max((float(np.abs(v).max(initial=0.0)) for v in found.values()), default=0.0)
    return {k for k, v in found.items() if float(np.abs(v).max(initial=0.0)) <= _TINY * largest}


def _regularizers(session: Session, said_a: dict[str, float], said_b: dict[str, float]) -> None:
    if _relative(said_a["regularizer"], said_b["regularizer"]) <= SAME:
        return
    found = False
    for pair in session.pairs:
        if pair.a is None or pair.b is None:
            continue
        for constant, x, y in unlike(pair.a.constants, pair.b.constants):
            if "regularizer" not in constant:
                continue
            found = True
            session.differences.append(
                of_constant(
                    "loss",
                    pair.name,
                    constant,
                    (x, y),
                    _relative(said_a["loss"], said_b["loss"]),
                    shown=f"{said_a['regularizer']:.6g} of A's loss is regularizer, "
                    f"{said_b['regularizer']:.6g} of B's",
                    stated=(pair.a.stated, pair.b.stated),
                    where=(pair.a.where, pair.b.where),
                )
            )
    if not found:
        session.differences.append(
            Difference(
                stage="loss",
                place="loss",
                constant="regularizer",
                a=f"{said_a['regularizer']:.6g}",
                b=f"{said_b['regularizer']:.6g}",
                effect=_relative(said_a["loss"], said_b["loss"]),
            )
        )


def _statistics(session: Session, after_a: Arrays, after_b: Arrays) -> None:
    """Running means and variances after one batch; the momentum that each was moved with."""
    for pair in session.pairs:
        if pair.a is None or pair.b is None or pair.a.kind != "batch_norm":
            continue
        keys = [p.parameters.get("moving_mean") for p in (pair.a, pair.b)]
        if pair.b.kind != "batch_norm" or None in keys or keys[0] not in session.loaded_a:
            continue
        mean = apart(after_a[str(keys[0])], after_b[str(keys[1])])
        old, new = pair.a.constants.get("momentum"), pair.b.constants.get("momentum")
        session.measured["running means"] = max(session.measured.get("running means", 0.0), mean)
        alike = session.measured["outputs in training mode"] <= SAME
        if (old != new and _far(old, new)) or (mean > SAME and alike):
            shown = f"running means are {mean:.2g} apart after one batch"
            if session.change(pair.b, "momentum", old):
                _, _, again = session.gradients(session.b, session.masks()[1])
                left = apart(after_a[str(keys[0])], again[str(keys[1])])
                if left <= SAME:
                    shown += f"; with A's value they are the same to {left:.0e}"
                pair.b.constants["momentum"] = old
                after_b = again
            session.differences.append(
                Difference(
                    stage="running statistics",
                    place=pair.name,
                    constant="momentum",
                    a=f"{words(old)} of the old value",
                    b=f"{words(new)} of the old value",
                    effect=mean,
                    shown=shown,
                    stated=who_states("momentum", pair.a.stated, pair.b.stated),
                    where=[pair.a.where, pair.b.where],
                    align=[
                        f"in {name}: {lines.layer(side.framework, one, 'momentum', value)}"
                        for name, side, one, value in (
                            ("B", session.listing_b, pair.b, old),
                            ("A", session.listing_a, pair.a, new),
                        )
                        if value is not None
                    ],
                )
            )
        _variances(session, pair, after_a, after_b)
    _tell_unbiased(session)


def _far(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is not other
    return bool(abs(one - other) > 1e-9)


def _variances(session: Session, pair: Any, after_a: Arrays, after_b: Arrays) -> None:
    keys = [p.parameters["moving_variance"] for p in (pair.a, pair.b)]
    one, other = after_a[keys[0]], after_b[keys[1]]
    far = apart(one, other)
    forms = [p.constants.get("running_variance") for p in (pair.a, pair.b)]
    if far <= SAME or forms[0] == forms[1] or pair.a.constants["momentum"] is None:
        return
    old, loaded = pair.a.constants["momentum"], session.loaded_a[keys[0]]
    size = session.batch * int(np.prod(pair.a.shape[:-1] or [1]))
    batch = [(v - old * loaded) / (1 - old) for v in (one, other)]
    for place, form in enumerate(forms):
        if form == "unbiased":
            batch[place] = batch[place] * ((size - 1) / size)
    if apart(batch[0], batch[1]) <= 1e-7:
        which = "A" if forms[0] == "unbiased" else "B"
        session.unbiased.setdefault(which, []).append((pair.name, size))


def _tell_unbiased(session: Session) -> None:
    for which, norms in session.unbiased.items():
        name, size = min(norms, key=lambda one: one[1])
        where = name if len(norms) == 1 else f"{len(norms)} batch norms"
        most = "" if len(norms) == 1 else f" in {name}, where it is most"
        session.notes.append(
            f"{where}: {which} keeps the unbiased variance of a batch, {size}/{size - 1} times "
            f"the other's{most}; that is how its framework does it, and it shows in inference alone"
        )
