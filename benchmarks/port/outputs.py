"""Structure and outputs: the operations side by side, in inference and in training mode.

Each operation of B is also run on what A's operation read, so that one fault does not hide the
next. A constant that differs is to blame when B, computing with A's value, gives A's output.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import numpy as np

from benchmarks.port import lines
from benchmarks.port.align import Pair
from benchmarks.port.difference import (
    SAME,
    Difference,
    Stage,
    apart,
    of_constant,
    unlike,
    words,
)
from benchmarks.port.operation import PICTURES, Operation
from benchmarks.port.session import Arrays, Session

# Constants that no output shows: they act on the loss, the weights or the running statistics.
LATER = {
    *("momentum", "running_variance", "kernel_regularizer", "bias_regularizer"),
    *("kernel_constraint", "bias_constraint", "depthwise_regularizer", "depthwise_constraint"),
    *("variance", "kernel_initializer", "bias_initializer", "precision"),
}
_FORM = {"filters", "units", "kernel", "bias", "scale", "center"}  # other weights, not numbers
STRUCTURE = ("missing layer", "extra layer")
_MADE_UP = "the outputs are the same without it"
# Constants that are compared as they are stated: their masks are not drawn here.
_STATED = {"attention_rate"}


class Row(msgspec.Struct, kw_only=True):
    """One line of the side-by-side listing, with what was measured.

    through: how far the outputs are apart; alone: the same of B's operation on A's inputs. None
    where it could not be compared.
    """

    pair: Pair
    through: float | None = None
    alone: float | None = None
    alone_training: float | None = None


def compare(session: Session) -> list[Row]:
    """Measure both modes, and put every difference into the session."""
    own = copy.deepcopy(session.pairs)  # of B some constants get A's value on the way
    rows = [Row(pair=pair) for pair in session.pairs]
    masks = session.masks()
    runs = {training: _measure(session, rows, training, masks) for training in (False, True)}
    ends = session.normal_a.output, session.normal_b.output
    alike = all(apart(a[ends[0]], b[ends[1]]) <= SAME for a, b in runs.values())
    for row in rows:
        _judge(session, row, runs, masks, alike)
    for one in session.normal_a.operations + session.normal_b.operations:
        if one.unread:
            session.unread.append(_named(one))
    _again(session, rows, masks)
    places = {hidden.place for hidden, _ in session.made_up}
    if len(places) == 1 and not any(d.constant in STRUCTURE for d in session.differences):
        for hidden, effect in session.made_up:  # there is nothing that could make up for it
            hidden.effect = effect
            hidden.shown = "of this operation by itself; the outputs for these pictures hide it"
    for row, pair in zip(rows, own, strict=True):
        row.pair = pair
    return rows


def _measure(
    session: Session, rows: list[Row], training: bool, masks: tuple[Arrays, Arrays]
) -> tuple[Arrays, Arrays]:
    a, _ = session.forward(session.a, training, masks[0] if training else {}, {})
    inputs = session.inputs_for_b(a)
    b, alone = session.forward(session.b, training, masks[1] if training else {}, inputs)
    for row in rows:
        if row.pair.a is None or row.pair.b is None:
            continue
        value = a[row.pair.a.id]
        if row.pair.a.kind == row.pair.b.kind == "rescale":
            c = row.pair.b.constants
            (source,) = row.pair.a.sources
            given = session.pictures if source == PICTURES else a[source]
            alone[row.pair.b.id] = given * np.asarray(c["scale"]) + np.asarray(c["offset"])
        apart_alone = apart(value, alone[row.pair.b.id]) if row.pair.b.id in alone else None
        if training:
            row.alone_training = apart_alone
        else:
            row.through, row.alone = apart(value, b[row.pair.b.id]), apart_alone
    return a, b


def _judge(
    session: Session,
    row: Row,
    runs: dict[bool, tuple[Arrays, Arrays]],
    masks: tuple[Arrays, Arrays],
    alike: bool,
) -> None:
    """Put the differences of one line into the session.

    Args:
        alike: both programs give the same outputs, so that whatever differs here makes up for
            something elsewhere.
    """
    pair = row.pair
    if pair.a is None or pair.b is None:
        _missing(session, pair, runs)
        return
    unread = pair.a.unread and pair.b.unread
    if unread and (pair.a.kind != pair.b.kind or not session.one_framework):
        return  # nobody knows in what order its outputs stand; it is named as not read
    found = [(c, x, y) for c, x, y in unlike(pair.a.constants, pair.b.constants) if c not in LATER]
    if pair.a.kind != pair.b.kind:
        found = [("kind", pair.a.kind, pair.b.kind)]
    joined = pair.b.id in session.normal_b.joined  # which is not run by itself
    worst = (row.through if joined and found else None) or row.alone or 0.0
    stage: Stage = "outputs" if worst > SAME else "training mode"
    worst, told = max(worst, row.alone_training or 0.0), ""
    if found and worst <= SAME and pair.a.kind == pair.b.kind == "activation":
        worst, stage = _far_from_zero(session, pair), "outputs"
        told = "on numbers from -16 to 16; this batch does not reach so far"
    found = _causes(pair, found)
    if pair.a.kind == "dropout" and stage == "outputs" and row.alone == 0:
        stage = "training mode"
    for constant, x, y in found:
        effect, shown = worst, told
        if constant in _STATED:
            effect, shown, stage = 1.0, "as stated; no mask of it is drawn here", "training mode"
        elif alike and not told:
            effect, shown = 0.0, _MADE_UP
        elif constant in _FORM and row.alone is None:
            effect = float("inf")
        elif (
            constant != "kind"
            and worst > SAME
            and not (told or joined)
            and session.change(pair.b, constant, x)
        ):
            left = _alone(session, pair, stage, masks, runs)
            if left <= SAME:
                shown = f"with A's value B gives A's output to {left:.0e}"
                pair.b.constants[constant] = x
            elif left < worst:
                shown = f"with A's value {left:.1e} is left of {worst:.1e}"
            if left > SAME and len(found) == 1:
                session.change(pair.b, constant, y)
        made = _difference(session, pair, constant, x, y, effect, shown, stage)
        session.differences.append(made)
        if shown == _MADE_UP and worst > SAME:
            session.made_up.append((made, worst))
    above = {one.id for one in session.normal_a.operations if one.unread}
    if not found and worst > SAME and not alike and not above.intersection(pair.a.sources):
        session.differences.append(
            Difference(
                stage=stage,
                place=_place(pair),
                constant="what it computes",
                a=pair.a.kind,
                b=pair.b.kind,
                effect=worst,
                where=[pair.a.where, pair.b.where],
                shown="on the same inputs, with the same weights and no constant that differs",
            )
        )


def _far_from_zero(session: Session, pair: Pair) -> float:
    """Distance of two activations on numbers from -16 to 16, which this batch may not reach."""
    assert pair.a is not None
    assert pair.b is not None
    found = []
    for side, listing, one in (
        (session.a, session.listing_a, pair.a),
        (session.b, session.listing_b, pair.b),
    ):
        shape = next(o.shape for o in listing.operations if o.id == one.id)
        size = (session.batch, *shape)
        given = {one.id: [np.linspace(-16, 16, int(np.prod(size))).reshape(size)]}
        found.append(session.forward(side, False, {}, given)[1].get(one.id))
    of_a, of_b = found
    return 0.0 if of_a is None or of_b is None else apart(of_a, of_b)


def _causes(pair: Pair, found: list[tuple[str, Any, Any]]) -> list[tuple[str, Any, Any]]:
    """The constants that differ, without those that follow from another one of them: a padding,
    or the sizes of attention's heads."""
    assert pair.a is not None
    assert pair.b is not None
    both = pair.a.constants, pair.b.constants
    if any(name == "heads" for name, _, _ in found):
        whole = {c["heads"] * c["key_size"] for c in both}
        found = [one for one in found if len(whole) > 1 or not one[0].endswith("_size")]
    follows = any(name in ("kernel", "dilation") for name, _, _ in found) and all(
        c.get("padding") == [_same(k, d) for k, d in zip(c["kernel"], c["dilation"], strict=True)]
        for c in both
        if "dilation" in c and "kernel" in c
    )
    return [one for one in found if not (follows and one[0] == "padding")]


def _same(kernel: int, dilation: int) -> list[int]:
    """Zeros before and after an axis that keep its size at stride 1."""
    total = (kernel - 1) * dilation
    return [total // 2, total - total // 2]


def _alone(
    session: Session,
    pair: Pair,
    stage: Stage,
    masks: tuple[Arrays, Arrays],
    runs: dict[bool, tuple[Arrays, Arrays]],
) -> float:
    """Distance of B's operation from A's, on A's inputs, with the constants set so far."""
    assert pair.a is not None
    assert pair.b is not None
    training = stage == "training mode"
    a, _ = runs[training]
    inputs = {pair.b.id: session.inputs_for_b(a)[pair.b.id]}
    try:
        _, alone = session.forward(session.b, training, masks[1] if training else {}, inputs)
    except ValueError:  # A's stride leaves too little for the next layer
        return float("inf")
    return apart(a[pair.a.id], alone[pair.b.id]) if pair.b.id in alone else float("inf")


def _missing(session: Session, pair: Pair, runs: dict[bool, tuple[Arrays, Arrays]]) -> None:
    one = pair.a or pair.b
    assert one is not None
    values = [runs[training][0 if pair.a else 1] for training in (False, True)]
    effects = [_moves(session, one, value) for value in values]
    stage: Stage = "outputs" if effects[0] > SAME else "training mode"
    there, here = ("A", "B") if pair.a else ("B", "A")
    what = _what(one)
    session.differences.append(
        Difference(
            stage=stage,
            place=one.name or one.kind,
            constant=STRUCTURE[0 if pair.a else 1],
            a=what if pair.a else "none",
            b="none" if pair.a else what,
            effect=max(effects),
            where=[one.where if pair.a else "", one.where if pair.b else ""],
            align=[f"in {here}: add {what} {_after(session, one)}, or leave it out of {there}"],
        )
    )


def _after(session: Session, one: Operation) -> str:
    sources = [s for s in one.sources if s != PICTURES]
    listing = (
        session.normal_a if any(o is one for o in session.normal_a.operations) else session.normal_b
    )
    return f"after {listing.by_id(sources[0]).name}" if sources else "ahead of the first layer"


def _moves(session: Session, one: Operation, values: Arrays) -> float:
    """Distance of an operation's output from its input; infinite where the sizes differ."""
    if not one.sources:  # a weight
        return float("inf")
    source = one.sources[0]
    before = session.pictures if source == PICTURES else values[source]
    return apart(before, values[one.id])


def _what(one: Operation) -> str:
    if one.kind == "activation":
        return str(one.constants["function"])
    shown = [f"{k} {words(v)}" for k, v in one.constants.items() if k in ("rate", "units", "size")]
    return " ".join([one.kind.removeprefix("unread:").replace("_", " ").strip(), *shown])


def _difference(
    session: Session,
    pair: Pair,
    constant: str,
    x: Any,
    y: Any,
    effect: float,
    shown: str,
    stage: Stage,
) -> Difference:
    assert pair.a is not None
    assert pair.b is not None
    align = []
    for name, listing, value, other in (
        ("B", session.listing_b, x, pair.b),
        ("A", session.listing_a, y, pair.a),
    ):
        line = lines.layer(listing.framework, other, constant, value)
        if line:
            align.append(f"in {name}: {line}" + (f" ({other.where})" if other.where else ""))
    return of_constant(
        stage,
        _place(pair),
        constant,
        (x, y),
        effect,
        shown=shown,
        stated=(pair.a.stated, pair.b.stated),
        where=(pair.a.where, pair.b.where),
        align=align,
    )


def _place(pair: Pair) -> str:
    assert pair.a is not None
    assert pair.b is not None
    same = pair.a.name == pair.b.name
    return pair.a.name if same else f"{pair.a.name} / {pair.b.name}"


def _named(one: Operation) -> str:
    where = f" ({one.where})" if one.where else ""
    return f"{one.kind.removeprefix('unread:')} in {one.name}{where}"


def _again(session: Session, rows: list[Row], masks: tuple[Arrays, Arrays]) -> None:
    """Measure the outputs' distance with constants set alike where that is possible."""
    for training in (False, True):
        of_a, of_b = masks if training else ({}, {})
        a, _ = session.forward(session.a, training, of_a, {})
        b, _ = session.forward(session.b, training, of_b, {})
        out_a, out_b = a[session.normal_a.output], b[session.normal_b.output]
        name = "outputs in training mode" if training else "outputs"
        session.measured[name] = apart(out_a, out_b)
        if not training:
            session.outputs = np.asarray(out_a)
            spread = float(np.ptp(out_a, axis=0).max())
            session.alike = spread <= 1e-12 * float(np.abs(out_a).max()) and len(out_a) > 1
    if max(session.measured["outputs"], session.measured["outputs in training mode"]) <= SAME:
        for one in session.differences:
            if one.constant in STRUCTURE:  # another layer makes up for it
                one.effect, one.shown = 0.0, _MADE_UP
