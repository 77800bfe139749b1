"""Surroundings of a training: pictures, own weights, how the model is handed over, the rate's
schedule, the reported loss, and settings that act on a GPU alone.
"""

from __future__ import annotations

import numpy as np

from benchmarks.port.difference import SAME, Difference, apart, same, words
from benchmarks.port.session import Arrays, Session
from results.words import count

_CARRIED = 1e-6  # weights that went through a file in float32
_KERNELS = ("kernel",)
_FORM_SHOWS = 500  # of so many numbers a uniform draw is told from a normal one


def pictures(session: Session) -> None:
    """Compare the results of both programs' own preprocessing on the same pictures."""
    raw, _ = session.source.raw(4)
    said_a, of_a = session.a.ask("preprocess", {"pictures": raw})
    said_b, of_b = session.b.ask("preprocess", {"pictures": raw})
    if not (said_a or said_b):
        return
    seen = []
    for made, one in ((of_a, session.normal_a), (of_b, session.normal_b)):
        first = one.operations[0]
        scale, offset = np.ones(()), np.zeros(())
        if first.kind == "rescale":
            scale, offset = (np.asarray(first.constants[k]) for k in ("scale", "offset"))
        seen.append(made["pictures"] * scale + offset)
    effect = apart(*seen)
    session.measured["pictures"] = effect
    if effect <= SAME:
        session.take_own_pictures()
        return
    shown = [f"{x.min():.4g} to {x.max():.4g}" for x in seen]
    ratio = float(np.abs(seen[0]).max() / np.abs(seen[1]).max())
    factor = apart(seen[0], seen[1] * ratio) <= SAME
    session.differences.append(
        Difference(
            stage="pictures",
            place="pictures",
            constant="scale of the pixels" if factor else "preprocessing",
            a=shown[0],
            b=shown[1],
            effect=effect,
            shown=f"A's are {ratio:.6g} times B's" if factor else "of the same pictures",
            align=["divide the pictures by 255 in both programs, or in neither"] if factor else [],
        )
    )


def own_weights(session: Session, of_a: Arrays, of_b: Arrays, given: bool) -> None:
    """Compare the programs' first weights: equal values, or else draws of the same kind."""
    _stated(session, of_a, of_b)
    kernels = [w for w in session.weights if w.role in _KERNELS and np.ptp(of_a[w.a]) > 0]
    kernels = [w for w in kernels if w.a not in session.listing_a.constants]
    equal = {w.a: apart(of_a[w.a], of_b[w.b]) <= _CARRIED for w in session.weights}
    if any(equal[w.a] for w in kernels):
        _carried(session, of_a, of_b, equal)
        return
    if given:
        session.notes.append(
            "weights are loaded, as --given-weights says; the first were not compared"
        )
        return
    for role, word in (("kernel", "kernels"), ("bias", "biases")):
        _drawn(session, of_a, of_b, role, word)


def _stated(session: Session, of_a: Arrays, of_b: Arrays) -> None:
    """Numbers that both programs state for a kernel; the comparison itself took A's for both."""
    for one in session.stated_by_both():
        x, y = of_a[one.a], of_b[one.b]
        far = apart(x, y)
        if far <= _CARRIED:
            continue
        shown = [f"{v.min():.4g} to {v.max():.4g}, sum {v.sum():.5g}" for v in (x, y)]
        session.differences.append(
            Difference(
                stage="own weights",
                place=f"{one.pair.name} {one.role}",
                constant="stated numbers",
                a=shown[0],
                b=shown[1],
                effect=far,
                shown="a kernel that is no weight: neither program trains it",
                where=[p.where if p else "" for p in (one.pair.a, one.pair.b)],
            )
        )


def _carried(session: Session, of_a: Arrays, of_b: Arrays, equal: dict[str, bool]) -> None:
    session.notes.append("the programs start with the same weights, as far as the list says not")
    for one in session.weights:
        x, y = of_a[one.a], of_b[one.b]
        if equal[one.a] or x.size != y.size:  # other sizes are a difference of the layers
            continue
        moved = x.size == y.size and apart(np.sort(x.ravel()), np.sort(y.ravel())) <= _CARRIED
        constant, shown, align = "values", "", []
        if moved and one.role == "kernel" and one.pair.a is not None and one.pair.a.kind == "dense":
            constant = "order of the flattened picture"
            shown = "the same numbers, with the rows in another order"
            align = [
                "reorder the rows: w.reshape(height, width, channels, out).transpose(2, 0, 1, 3)"
                ".reshape(-1, out).T is PyTorch's"
            ]
        elif moved:
            shown = "the same numbers in another order"
        session.differences.append(
            Difference(
                stage="own weights",
                place=f"{one.pair.name}",
                constant=constant,
                a=f"{one.a} {list(x.shape)}",
                b=f"{one.b} {list(y.shape)}",
                effect=apart(x, y),
                shown=shown,
                align=align,
            )
        )


def _drawn(session: Session, of_a: Arrays, of_b: Arrays, role: str, word: str) -> None:
    """Compare the spread and the form of drawn weights, layer by layer."""
    for one in session.weights:
        if one.role != role:
            continue
        x, y = of_a[one.a].ravel(), of_b[one.b].ravel()
        spread_x, spread_y = (float(np.sqrt(np.mean(v**2))) for v in (x, y))
        if spread_x == spread_y == 0:
            continue
        largest = max(spread_x, spread_y)
        smallest = min(spread_x, spread_y)
        # the standard error of a spread is 1 / sqrt(2 n) at most, of a normal distribution
        apart_by = float("inf") if not smallest else largest / smallest - 1
        other_form = len(x) >= _FORM_SHOWS and _uniform(x, spread_x) != _uniform(y, spread_y)
        if apart_by <= 6 / (2 * max(1, len(x))) ** 0.5 and not other_form:
            continue
        told = [_told(v, spread) for v, spread in ((x, spread_x), (y, spread_y))]
        initial = [
            (p.constants.get(f"{role}_initializer", "") if p else "")
            for p in (one.pair.a, one.pair.b)
        ]
        session.differences.append(
            Difference(
                stage="start",
                place=one.pair.name,
                constant=f"initial {word}",
                a=" ".join(filter(None, [str(initial[0]), told[0]])),
                b=" ".join(filter(None, [str(initial[1]), told[1]])),
                effect=apart_by if np.isfinite(apart_by) else 1.0,
                shown=f"of {count(len(x), 'number')} that each program drew",
                where=[p.where if p else "" for p in (one.pair.a, one.pair.b)],
            )
        )
        return


def _uniform(drawn: np.ndarray, spread: float) -> bool:
    """True if no number is further out than a uniform distribution of this spread has them.

    Its edge is sqrt(3) spreads out. Of n numbers the spread itself has a standard error of
    0.45 / sqrt(n), of which six are allowed. A normal distribution cut at two deviations reaches
    2.27 spreads.
    """
    return float(np.abs(drawn).max()) < 3**0.5 * (1 + 6 * 0.45 / len(drawn) ** 0.5) * spread


def _told(drawn: np.ndarray, spread: float) -> str:
    if not spread:
        return "zeros"
    return f"{'uniform' if _uniform(drawn, spread) else 'bell-shaped'}, spread {spread:.3g}"


def bare_call(session: Session, counted: bool) -> None:
    """Outputs when the models are called as they were handed over."""
    modes = session.listing_a.bare, session.listing_b.bare
    if modes[0] == modes[1] or not all(modes):  # one may have to be told its mode
        return
    out_a = session.a.ask("bare", {"pictures": session.pictures})[1]["out"]
    out_b = session.b.ask("bare", {"pictures": session.pictures_b})[1]["out"]
    effect = apart(out_a, out_b)
    if effect <= SAME:
        return
    kinds = {p.a.kind for p in session.pairs if p.a} & {"batch_norm", "dropout"}
    place = " and ".join(sorted(k.replace("_", " ") for k in kinds)) or "model"
    told = (
        f"called as they are handed over, A is in {modes[0]} mode and B in {modes[1]} mode; the "
        f"outputs are {effect:.2g} apart"
    )
    if not counted:
        session.notes.append(told)
        return
    session.differences.append(
        Difference(
            stage="a bare call",
            place=place,
            constant="mode",
            a=modes[0],
            b=modes[1],
            effect=effect,
            shown=told,
            align=["call model.eval() in PyTorch, or model(x, training=True) in Keras"],
        )
    )


def schedules(session: Session) -> None:
    """The learning rate by step."""
    of_a, of_b = session.listing_a.recipe.rates, session.listing_b.recipe.rates
    both = session.listing_a.recipe.optimizer and session.listing_b.recipe.optimizer
    if not (of_a or of_b) or not both:
        return
    session.notes.append(
        "steps were taken at the largest rate of a schedule; the rates by step apart"
    )
    _compare_momenta(session)
    start = [
        float(one.recipe.optimizer.get("learning_rate", 0.0))
        for one in (session.listing_a, session.listing_b)
    ]
    steps = {*of_a} & {*of_b} if of_a and of_b else {*of_a, *of_b}
    before = -1
    for step in sorted(steps):
        x, y = of_a.get(step, start[0]), of_b.get(step, start[1])
        if abs(x - y) <= 1e-6 * max(*start, abs(x), abs(y)):
            before = step
            continue
        session.differences.append(
            Difference(
                stage="schedule",
                place="schedule",
                constant="learning rate by step",
                a=f"{x:.6g} at step {step}" if of_a else f"{x:.6g}, constant",
                b=f"{y:.6g} at step {step}" if of_b else f"{y:.6g}, constant",
                effect=abs(x - y) / max(abs(x), abs(y)),
                shown=f"{_until(before)}the schedules part at step {step} at the latest, counting "
                "each call of a schedule as a step; where a program calls it once an epoch, its "
                "steps are epochs",
            )
        )
        return


def _until(step: int) -> str:
    return f"at step {step} and those before it that were tried the rates are the same; " * (
        step >= 0
    )


def _compare_momenta(session: Session) -> None:
    """The momentum by step, where a schedule moves it with the rate."""
    both = session.listing_a.recipe, session.listing_b.recipe
    usual = [one.optimizer.get("momentum", one.optimizer.get("beta_1")) for one in both]
    for step in sorted({*both[0].momenta, *both[1].momenta}):
        x, y = (one.momenta.get(step, own) for one, own in zip(both, usual, strict=True))
        if same(x, y):
            continue
        told = [
            f"{words(value)} at step {step}" if one.momenta else f"{words(value)}, constant"
            for value, one in zip((x, y), both, strict=True)
        ]
        session.differences.append(
            Difference(
                stage="schedule",
                place="schedule",
                constant="momentum by step",
                a=told[0],
                b=told[1],
                effect=1.0,
                shown="the schedule moves the momentum against the rate",
                align=["OneCycleLR(..., cycle_momentum=False) leaves the momentum as it is"],
            )
        )
        return


def reported(session: Session) -> None:
    """Compare how each program makes the loss of an epoch of its batches' losses."""
    losses, sizes = np.array([1.0, 2.0, 7.0]), np.array([32.0, 32.0, 4.0])
    arrays = {"losses": losses, "sizes": sizes}
    said_a, said_b = (side.ask("evaluate", arrays)[0] for side in (session.a, session.b))
    if not (said_a["own"] or said_b["own"]) or abs(said_a["loss"] - said_b["loss"]) <= SAME:
        return
    mean, plain = float(np.average(losses, weights=sizes)), float(losses.mean())
    told = [
        "each batch counts as one"
        if abs(s["loss"] - plain) < 1e-9
        else "each picture counts as one"
        if abs(s["loss"] - mean) < 1e-9
        else f"{s['loss']:.6g} of 1, 2 and 7"
        for s in (said_a, said_b)
    ]
    session.differences.append(
        Difference(
            stage="reported loss",
            place="reported loss of an epoch",
            constant="mean over batches",
            a=told[0],
            b=told[1],
            effect=abs(said_a["loss"] - said_b["loss"]) / mean,
            shown=f"batches of 32, 32 and 4 with losses 1, 2 and 7 give {said_a['loss']:.5g} in A "
            f"and {said_b['loss']:.5g} in B",
        )
    )


def settings(session: Session, device: str) -> None:
    """Precision of products, which no CPU shows."""
    of_a, of_b = session.listing_a.settings, session.listing_b.settings
    for name in sorted({*of_a, *of_b}):
        x, y = of_a.get(name, ""), of_b.get(name, "")
        if not x or not y or x == y:
            continue
        if device != "cuda":
            session.notes.append(f"{name} would be in {x} in A, in {y} in B; not so on this CPU")
            continue
        session.differences.append(
            Difference(
                stage="on a GPU",
                place=name,
                constant="precision",
                a=words(x),
                b=words(y),
                effect=1e-3,
                shown="read from the programs' settings and not measured here: TF32 keeps 10 bits "
                "of the mantissa, about 1e-3",
                align=[
                    "jax.default_matmul_precision('highest'); torch.backends.cudnn.allow_tf32 = "
                    "False; tf.config.experimental.enable_tensor_float_32_execution(False)"
                ],
            )
        )
