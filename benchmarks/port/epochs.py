"""Both programs' own training steps on the same batches, for some epochs: curves, not a verdict."""

from __future__ import annotations

import msgspec
import numpy as np

from benchmarks.port.difference import apart
from benchmarks.port.operation import Listing, PortError
from benchmarks.port.session import Arrays, Session
from results.views.words import count

_GENERATED = 8  # batches of an epoch without galaxies
_MOST = 1024  # pictures of an epoch: both programs hold them in float64


class Trained(msgspec.Struct, kw_only=True):
    """Result of training both programs.

    batches: of an epoch, of `batch` pictures each. losses_a, losses_b: of each epoch, the mean of
    its batches. seconds: of A and of B, the whole training in one process each.
    weights: distance of the last weights; most: the weight that is furthest, by A's name.
    statistics: distance of the running means and variances.
    parted: the first step whose losses are more than 1e-6 apart, or None.
    notes: what the figures leave out.
    """

    batches: int
    batch: int
    losses_a: list[float]
    losses_b: list[float]
    seconds: tuple[float, float]
    weights: float
    most: str
    statistics: float
    parted: int | None
    notes: list[str]


def trained(
    session: Session, own: Arrays, listings: tuple[Listing, Listing], number: int
) -> Trained:
    """Train both for `number` epochs from A's first weights.

    Args:
        own: A's weights as the program made them.
        listings: of the programs opened again, so that no constant is set alike.

    Raises:
        PortError: a program has no loss or no optimizer, or fails.
    """
    for name, listing in zip("AB", listings, strict=True):
        if not (listing.recipe.loss and listing.recipe.optimizer):
            raise PortError(
                f"--train: {name} has no {'optimizer' if listing.recipe.loss else 'loss'}; name "
                "one with --loss or --optimizer",
                status=4,
            )
    notes = _notes(session, listings)
    given = session.source.given
    batches = _GENERATED
    if given is not None:
        batches = max(1, min(len(given.images), _MOST) // session.batch)
    made = [session.picture_pair() for _ in range(batches)]
    for_a, for_b, labels = (np.stack([one[place] for one in made]) for place in range(3))
    order = np.concatenate([session.draw.permutation(batches) for _ in range(number)])
    masks = session.mask_shapes()
    seed = int(session.draw.integers(2**31))
    # A program that is opened again may name its weights otherwise, in the same order.
    names_a, names_b = (
        dict(zip(before.parameters, now.parameters, strict=True))
        for before, now in zip((session.listing_a, session.listing_b), listings, strict=True)
    )
    session.a.ask("load", {names_a[k]: v for k, v in own.items()})
    session.b.ask("load", {names_b[k]: v for k, v in session.to_b(own).items()})
    found = [
        side.ask(
            "train",
            {"pictures": pictures, "labels": labels, "order": order},
            count=len(order),
            masks=shapes,
            seed=seed,
            epoch=batches,
        )
        for side, pictures, shapes in zip(
            (session.a, session.b), (for_a, for_b), masks, strict=True
        )
    ]
    (said_a, last_a), (said_b, last_b) = found
    losses = [np.array(said["losses"]) for said in (said_a, said_b)]
    far = np.abs(losses[0] - losses[1]) > 1e-6 * np.abs(losses[0])
    far_apart = {
        w.a: apart(last_a[names_a[w.a]], last_b[names_b[w.b]])
        for w in session.weights
        if names_a[w.a] in last_a and names_b[w.b] in last_b and w.a not in session.tiny
    }
    fixed = set(session.listing_a.fixed)
    weights = {name: value for name, value in far_apart.items() if name not in fixed}
    most = max(weights, key=lambda name: weights[name], default="")
    per_epoch = [one.reshape(number, batches).mean(axis=1).tolist() for one in losses]
    return Trained(
        batches=batches,
        batch=session.batch,
        losses_a=per_epoch[0],
        losses_b=per_epoch[1],
        seconds=(said_a["seconds"], said_b["seconds"]),
        weights=weights.get(most, 0.0),
        most=most,
        statistics=max((far_apart[name] for name in far_apart if name in fixed), default=0.0),
        parted=int(far.argmax()) if far.any() else None,
        notes=notes,
    )


def _notes(session: Session, listings: tuple[Listing, Listing]) -> list[str]:
    given = session.source.given
    if given is None:
        found = [f"{_GENERATED} generated batches with drawn labels: there is nothing to learn"]
    else:
        used = min(len(given.images), _MOST)
        found = [f"{used:,} pictures of {given.name}, of which none is held out"]
    if any(one.recipe.rates for one in listings):
        found.append(
            "schedules were followed; one of PyTorch goes on after each step, or each epoch where "
            "its file has schedule_unit = 'epoch'"
        )
    if session.tiny:
        found.append(
            f"not compared: {count(len(session.tiny), 'weight')} whose gradient is rounding alone"
        )
    found.append("one process each in float64, every call watched: the seconds are not for quoting")
    return found
