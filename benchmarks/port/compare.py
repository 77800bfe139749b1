"""The comparison of two programs from end to end; what was found is kept when a stage fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from benchmarks.port import optimizer, outputs, start, training
from benchmarks.port.difference import SAME, Difference, grouped
from benchmarks.port.galaxies import Galaxies
from benchmarks.port.operation import Listing, PortError
from benchmarks.port.outputs import STRUCTURE, Row
from benchmarks.port.programs import Source
from benchmarks.port.session import Session
from benchmarks.port.steps import steps as whole_steps
from benchmarks.port.trained import Trained
from benchmarks.port.wire import Side
from results.words import count

EQUAL, DIFFERENT, UNKNOWN = 0, 1, 4  # exit statuses


class Options(msgspec.Struct, kw_only=True):
    """Options of a comparison.

    steps: whole training steps. size: of a picture, [] where a program says it.
    seen: "training", or "outputs" where a bare call of the models is what differs.
    device: where the programs run; "cuda" counts settings that act on a GPU alone.
    given_weights: the programs load weights, so that the first ones do not matter.
    galaxies: None for generated pictures.
    """

    steps: int = 8
    batch: int = 6
    seed: int = 0
    size: list[int] = []
    seen: str = "training"
    device: str = "cpu"
    given_weights: bool = False
    galaxies: Galaxies | None = None


class Found(msgspec.Struct, kw_only=True):
    """Result of a comparison.

    status: EQUAL, DIFFERENT or UNKNOWN. verdict: one line.
    differences: in the order of their effect. without: differences that no measurement shows.
    measured: distances between A and B, by the name of the compared quantity.
    stopped: why a stage could not be run, or "". trained: both in the harness.
    not_trained: why not, where they were to be.
    """

    status: int
    verdict: str
    differences: list[Difference]
    without: list[Difference]
    rows: list[Row]
    measured: dict[str, float]
    mapping: dict[str, str]
    unread: list[str]
    notes: list[str]
    stopped: str
    listings: tuple[Listing, Listing]
    trained: Trained | None = None
    not_trained: str = ""


def compare(sides: tuple[Side, Side], sources: tuple[Source, Source], options: Options) -> Found:
    """Read both programs and compare them.

    Raises:
        PortError: a program cannot be read, so that nothing was found.
    """
    size = options.size
    if options.galaxies is not None and not size:
        size = list(options.galaxies.images.shape[1:])
    listings = _open(sides, sources, size)
    session = Session(
        *sides, listings, batch=options.batch, seed=options.seed, given=options.galaxies
    )
    own = session.own()
    session.round_alike()
    rows: list[Row] = []
    stopped = ""
    given = {}

    def outputs_now() -> None:
        session.carry(*own)
        rows.extend(outputs.compare(session))

    def gradients_now() -> None:
        if listings[0].recipe.loss and listings[1].recipe.loss:
            given.update(training.gradients(session))
        else:
            training.untold(session)

    def optimizers_now() -> None:
        first = given or {
            k: v * 0.01 for k, v in session.loaded_a.items() if k not in listings[0].fixed
        }
        optimizer.optimizers(session, first)

    stages: list[Callable[[], None]] = [
        lambda: start.pictures(session),
        outputs_now,
        lambda: start.own_weights(session, *own, options.given_weights),
        lambda: start.bare_call(session, options.seen == "outputs"),
        lambda: training.losses(session),
        gradients_now,
        optimizers_now,
        lambda: start.schedules(session),
        lambda: whole_steps(session, options.steps),
        lambda: start.reported(session),
        lambda: start.settings(session, options.device),
    ]
    for stage in stages:
        try:
            stage()
        except PortError as error:
            stopped = stopped or str(error)
            if stage is outputs_now:
                break
    return _found(session, rows, stopped, listings, options)


def _open(
    sides: tuple[Side, Side], sources: tuple[Source, Source], size: list[int]
) -> tuple[Listing, Listing]:
    """Read both, the one first that says how large its pictures are; networks in TOML, which leave
    sizes and the number of classes open, after programs."""
    listings: list[Listing | None] = [None, None]
    order = sorted((0, 1), key=lambda n: (sources[n].in_toml, "keras" not in sides[n].framework))
    for place in order:
        listings[place] = sides[place].open(sources[place], size)
        made = listings[place]
        assert made is not None
        size = size or made.input
        last = next(o for o in made.operations if o.id == made.output)
        for source in sources:
            source.classes = int(last.shape[-1]) if last.shape else 1
    assert listings[0] is not None
    assert listings[1] is not None
    return listings[0], listings[1]


_ORDER = {
    stage: place
    for place, stage in enumerate(
        (
            *("own weights", "a bare call", "pictures", "outputs", "training mode", "loss"),
            *("gradients", "running statistics", "optimizer", "schedule", "steps"),
            *("reported loss", "start", "on a GPU"),
        )
    )
}


def _most(found: list[Difference]) -> float:
    return max((one.effect for one in found if one.constant in STRUCTURE), default=0.0)


def _rank(most: float, one: Difference) -> tuple[int, float]:
    """Key that sorts by stage, then by effect; initial kernels stay ahead of biases.

    Layers that one program alone has stay in their order: one brings the next.

    Args:
        most: the largest effect of such a layer.
    """
    effect = most if one.constant in STRUCTURE else one.effect
    return _ORDER[one.stage], 0.0 if one.stage == "start" else -min(effect, 1e9)


def _found(
    session: Session,
    rows: list[Row],
    stopped: str,
    listings: tuple[Listing, Listing],
    options: Options,
) -> Found:
    real = [d for d in session.differences if d.effect > SAME]
    without = [d for d in session.differences if d.effect <= SAME]
    first = min(real, key=lambda d: _ORDER[d.stage], default=None)
    ranked = sorted(real, key=partial(_rank, _most(real)))
    status, verdict = _verdict(session, ranked, first, stopped, options)
    return Found(
        status=status,
        verdict=verdict,
        differences=ranked,
        without=without,
        rows=rows,
        measured=session.measured,
        mapping={w.a: w.b for w in session.weights},
        unread=session.unread,
        notes=[*listings[0].notes, *listings[1].notes, *session.notes],
        stopped=stopped,
        listings=listings,
    )


def _verdict(
    session: Session,
    ranked: list[Difference],
    first: Difference | None,
    stopped: str,
    options: Options,
) -> tuple[int, str]:
    lost = _lost(session)
    ranked, unsure = _certain(session, ranked, lost)
    if unsure and not ranked:
        return UNKNOWN, f"could not be told: {unsure}"
    if ranked:
        main = ranked[0]
        others = len(grouped(ranked)) - 1
        more = f"; {others} more" if others else ""
        early = _ORDER["outputs"], _ORDER["training mode"]
        if _ORDER[main.stage] > early[1]:
            both = [session.measured[k] for k in ("outputs", "outputs in training mode")]
            if max(both) <= SAME:
                return (
                    DIFFERENT,
                    f"equal in their outputs to {max(both):.0e}, but for {main}{more}",
                )
        return DIFFERENT, f"differ first in {main}{more}"
    if stopped:
        return UNKNOWN, f"could not be told: {stopped.splitlines()[0]}"
    if session.alike:
        return UNKNOWN, "could not be told: A's outputs are the same for all pictures"
    compared = {k: v for k, v in session.measured.items() if v == v}
    worst = max(compared.values(), default=float("inf"))
    if not compared or worst > 1e-6:
        largest = max(compared, key=lambda k: compared[k]) if compared else "nothing"
        why = "no cause was found"
        if session.unread:
            why = f"not read: {session.unread[0]}"
        return UNKNOWN, f"could not be told: {largest} {worst:.1e} apart, and {why}"
    if lost:
        return UNKNOWN, f"could not be told: {lost[0]}"
    through = f" through {count(options.steps, 'step')}" if _trained(session) else ""
    what = through or (" in outputs and gradients" if "gradients" in compared else " in outputs")
    return EQUAL, f"equal to {worst:.0e}{what}"


def _certain(
    session: Session, ranked: list[Difference], lost: list[str]
) -> tuple[list[Difference], str]:
    """The differences that stand although weights could not be carried, and why others may not."""
    blind = [*STRUCTURE, "gradient", "loss", "what it computes"]
    if lost and session.unread:
        told = f"{lost[0]}; not read: {session.unread[0]}"
    elif session.alone_in_a and session.alone_in_a == session.alone_in_b:
        told = (
            f"{count(session.alone_in_a, 'weight')} of either program are in operations that the "
            f"other has not ({ranked[0].place if ranked else ''}); both may compute the same with "
            "them"
        )
    else:
        return ranked, ""
    return [one for one in ranked if one.constant not in blind or one.stage == "loss"], told


def _lost(session: Session) -> list[str]:
    """Notes on weights that were not carried; one that nothing uses does not count."""
    notes = [*session.listing_a.notes, *session.listing_b.notes]
    lost = [note for note in notes if "cannot be carried" in note]
    return [note for note in lost if session.unread or "no operation" not in note]


def _trained(session: Session) -> bool:
    return any(name.startswith("weights after") for name in session.measured)
