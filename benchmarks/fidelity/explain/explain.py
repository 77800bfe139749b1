"""`--explain NAME|FILE.toml`: of what the frameworks do differently with the words of a
specification, what will matter here, how much, and the line that aligns each.

The question is that of a port by hand: each framework told what the specification states, under
the argument of that name, and nothing else. `differences.toml` says what differs, `effects`
computes how much for this network and recipe, `lines` writes the code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from benchmarks.fidelity.explain.effects import EFFECTS, Effect
from benchmarks.fidelity.explain.facts import facts
from benchmarks.fidelity.explain.lines import flax, keras, torch
from benchmarks.fidelity.explain.question import Placed, Question, Symptom
from frameworks.spec.defaults import CANNOT, NATIVE, PROJECT, REQUIRED
from frameworks.spec.losses import CrossEntropy
from frameworks.spec.reading import read_table
from frameworks.spec.recipe import OPTIMIZERS

if TYPE_CHECKING:
    from rich.console import Console


Verdict = Literal["yes", "sometimes", "no"]
VERDICTS: Mapping[Verdict, str] = {
    "yes": "Will matter",
    "sometimes": "May matter",
    "no": "Will not matter",
}
TITLES = {
    "keras": "Keras",
    "torch": "PyTorch",
    "jax": "Flax",
    "keras@torch": "Keras on PyTorch",
    "keras@jax": "Keras on JAX",
}
_WRITERS = {"keras": keras, "torch": torch, "flax": flax}
_SEEN = {
    "training": "scores of networks trained anew",
    "outputs": "outputs with the same weights",
    "loss": "the loss that is reported",
    "memory": "the memory taken",
}
_ALIKE = "these frameworks default alike"
# A layer that has the difference, where it is not one of `frameworks.spec.defaults`, and what is
# said when none has.
_HAS: Mapping[str, tuple[Callable[[Question, Placed], bool], str]] = {
    "conv.padding": (
        lambda asked, one: (
            max(one.layer.kernel_size) > 1 and f"{one.layer.name}.padding" not in asked.stated
        ),
        "every layer states it, or its kernel is no wider than a pixel",
    ),
    "conv.odd_zero_of_same_at_stride_2": (
        lambda asked, one: (
            one.layer.padding == "same"
            and one.layer.stride > 1
            and EFFECTS["asymmetry"](asked, one, {}).times > 1
        ),
        'no layer has "same" padding, a stride, and zeros that cannot be halved',
    ),
    "max_pool.stride": (
        lambda asked, one: one.layer.size > 1 and f"{one.layer.name}.stride" not in asked.stated,
        "there is no pool, or every pool states it",
    ),
    "flatten.order": (
        lambda asked, one: len(one.source) == 3 and 1 not in (one.source[2], max(one.source[:2])),
        "one pixel or one channel is flattened: every order is the same",
    ),
    "mode of a bare call": (
        lambda asked, one: getattr(one.layer, "rate", 1) > 0,
        "neither batch norm nor dropout",
    ),
    "dropout masks": (lambda asked, one: one.layer.rate > 0, "nothing is dropped"),
    "max_norm": (lambda asked, one: one.layer.max_norm is not None, "no layer states one"),
    "l2": (lambda asked, one: one.layer.l2 > 0, "no layer states one"),
}

# Differences that have lines wherever the specification states it, whoever does the same.
_STATED = {"max_norm", "l2", "learning-rate schedule"}
_STATED |= {"loss.takes", "binary loss.takes", "squared error"}


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A difference in `differences.toml`, whose head says what the fields mean."""

    why: str
    about: Mapping[str, str] = {}
    layers: tuple[str, ...] = ()
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    shows: Mapping[Symptom, Verdict] = msgspec.field(default_factory=lambda: {"training": "yes"})
    needs: Mapping[str, str] = {}
    accelerator: bool = False
    form: bool = False
    complement: tuple[str, ...] = ()
    native: Mapping[str, str] = {}
    effect: str = "nothing"
    size: str = ""
    lines: str | Mapping[str, str] = ""
    measured: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Line:
    """Code that makes a framework do what the specification says, for a layer or ("") in all."""

    framework: str
    part: str
    code: str


@dataclass(frozen=True)
class Difference:
    """Something that the frameworks asked for do differently, or would.

    Attributes:
        field: named as in `frameworks.spec.defaults` where it is there.
        matters: here; "sometimes" depends on what is not stated.
        told: what each framework does with the specification's words, by name.
        effect: how far apart that puts them; `size`: what else is known of how much.
        lines: of all frameworks that need one. written_by: the function of `lines` and what it
            shows, or "".
    """

    field: str
    matters: Verdict
    why: str
    told: Mapping[str, str]
    effect: Effect
    size: str
    measured: str
    lines: Sequence[Line]
    written_by: str


def explain(asked: Question) -> list[Difference]:
    """Every difference: those that matter first, of these the largest."""
    known = facts(asked)
    found = []
    for name, entry in _table().items():
        field = name.format_map(known)
        tag, _, attribute = field.partition(".")
        other = tag in OPTIMIZERS and tag != known["optimizer"]
        missing = not entry.native and field not in PROJECT
        if known["optimizer"] in entry.optimizers and not other and not missing:
            found.append(_difference(field, attribute, entry, asked, known))
    order = list(VERDICTS)
    return sorted(
        found,
        key=lambda one: (order.index(one.matters), -round(one.effect.times, 6), not one.measured),
    )


@functools.cache
def _table() -> dict[str, _Entry]:
    """The differences by field."""
    table = read_table(Path(__file__).with_name("differences.toml"), "differences")
    return msgspec.convert(table, dict[str, _Entry])


def _difference(
    field: str, attribute: str, entry: _Entry, asked: Question, known: Mapping[str, Any]
) -> Difference:
    parts = asked.placed(*entry.layers) if entry.layers else [None]
    told: list[tuple[Placed | None, dict[str, Any]]]
    if field in PROJECT:
        told = [(part, _told(field, entry, asked, part)) for part in parts]
        wants = [name for name in asked.frameworks if field in REQUIRED[asked.kind(name)]]
        apart = [(part, values) for part, values in told if len(set(values.values())) > 1]
        none = _why_none(parts, [_given(asked, part, field) for part in parts])
        if wants and none == _ALIKE:
            none = f"{TITLES[wants[0]]} asks for one, and is given the project's here"
        stated = any(_given(asked, part, field) is not None for part in parts)
    else:
        has, none = _HAS.get(field, (lambda asked, part: True, ""))
        values = {name: _of(entry.native, asked, name) for name in asked.frameworks}
        told = [(part, values) for part in parts if has(asked, part)]
        differ = len({value for value in values.values() if value}) > 1
        apart = told if differ else []
        none = none if not told else "these frameworks do the same"
        plain = field == "loss.takes" and asked.filled.loss == CrossEntropy()
        stated = field in _STATED and bool(told) and not plain
    effect = _largest(entry, attribute, asked, apart)
    verdict, reason = _verdict(entry, asked, known, bool(apart), none)
    needed = verdict != "no" or (stated and not _unmet(entry, known))
    return Difference(
        field,
        verdict,
        reason or _who(asked, parts, field) + _why(entry, asked).format_map(known),
        {TITLES[name]: _word(value) for name, value in (told[0][1] if told else {}).items()},
        effect,
        entry.size,
        _measured(entry, asked, apart, field),
        _lines(entry, asked, known, [part for part, _ in told]) if needed else (),
        entry.lines if isinstance(entry.lines, str) else "",
    )


def _why(entry: _Entry, asked: Question) -> str:
    """The reason why a difference matters, and remarks on the frameworks asked for."""
    about = dict.fromkeys(_of(entry.about, asked, name) for name in asked.frameworks)
    return "; ".join([entry.why, *filter(None, about)])


def _given(asked: Question, part: Placed | None, field: str) -> Any:
    tag, _, attribute = field.partition(".")
    of_all = asked.recipe if tag == "recipe" else asked.recipe.optimizer
    return getattr(asked.given(part.layer.name) if part else of_all, attribute)


def _told(field: str, entry: _Entry, asked: Question, part: Placed | None) -> dict[str, Any]:
    """Each framework's value of a field, in the project's sense, if a user copies the stated value.

    A framework whose convention is the complement has 1 - value. A framework keeps its own default
    where the field is left open, where no framework has an argument for it (`form`), or where it
    cannot do what is stated.
    """
    given = _given(asked, part, field)
    values = {}
    for name in asked.frameworks:
        kind = asked.kind(name)
        if given is None or entry.form or CANNOT[kind].get(field) == given:
            values[name] = NATIVE[kind][field]
        else:
            values[name] = 1 - given if kind in entry.complement else given
    return values


def _of(texts: Mapping[str, str], asked: Question, name: str) -> str:
    return texts.get(name, texts.get(asked.kind(name), ""))


def _why_none(parts: Sequence[Placed | None], given: Sequence[Any]) -> str:
    if not parts:
        return "there is no such layer"
    if None in given:
        return _ALIKE
    word = f": {_word(given[0])}" if parts == [None] else ""
    return f"it is stated{word}, and means the same in these frameworks"


def _verdict(
    entry: _Entry, asked: Question, known: Mapping[str, Any], apart: bool, none: str
) -> tuple[Verdict, str]:
    """The verdict on a difference; if it is no, also the reason."""
    if unmet := _unmet(entry, known):
        return "no", unmet
    if not apart:
        return "no", none
    if asked.symptom not in entry.shows:
        return "no", f"it does not show in {_SEEN[asked.symptom]}"
    verdict = entry.shows[asked.symptom]
    return ("sometimes" if entry.accelerator and asked.device == "cpu" else verdict), ""


def _unmet(entry: _Entry, known: Mapping[str, Any]) -> str:
    return next((reason for fact, reason in entry.needs.items() if not known[fact]), "")


def _who(asked: Question, parts: Sequence[Placed | None], field: str) -> str:
    """The layers that leave a field open, and those that state a value, in words."""
    if field not in PROJECT:
        return ""
    given = {
        part.layer.name if part else "the recipe": _given(asked, part, field) for part in parts
    }
    left = [name for name, value in given.items() if value is None]
    said = [f"{name} states {_word(value)}" for name, value in given.items() if value is not None]
    return "; ".join(([f"left open by {', '.join(left)}"] if left else []) + said) + ": "


def _largest(
    entry: _Entry,
    attribute: str,
    asked: Question,
    apart: Sequence[tuple[Placed | None, Mapping[str, Any]]],
) -> Effect:
    """The largest effect of any part, which it names."""
    largest = Effect()
    for part, values in apart:
        titled = {TITLES[name]: value for name, value in values.items()}
        if entry.effect in ("steps", "steps_of_changing_rates"):
            titled["field"] = attribute
        effect = EFFECTS[entry.effect](asked, part, titled)
        if effect.times > largest.times or not largest.words:
            several = part is not None and len(apart) > 1
            where = f" ({part.layer.name})" if part is not None and several else ""
            largest = Effect(effect.times, effect.words + (where if effect.words else ""))
    return largest


def _measured(entry: _Entry, asked: Question, apart: Any, field: str) -> str:
    """R7's measurement on these frameworks, in words; "" unless the field is left open."""
    if not entry.measured or any(_given(asked, part, field) is not None for part, _ in apart):
        return ""
    kinds = {asked.kind(name) for name in asked.frameworks}
    return str(entry.measured["words"]) if set(entry.measured["kinds"]) <= kinds else ""


def _lines(
    entry: _Entry, asked: Question, known: Mapping[str, Any], parts: Sequence[Placed | None]
) -> list[Line]:
    found: list[Line] = []
    for name in asked.frameworks:
        for part in parts:
            own = f"{part.layer.name}" if part else ""
            if isinstance(entry.lines, str) and entry.lines:
                function, _, show = entry.lines.partition(":")
                write = getattr(_WRITERS[asked.kind(name)], function)
                whole = function in ("loss", "weighted_loss", "schedule")
                told: Any = part or (asked.filled if whole else asked.filled.optimizer)
                code = write(told, show) if show else write(told)
            else:
                layer = msgspec.structs.asdict(part.layer) if part else {}
                template = _of(entry.lines or {}, asked, name)
                code = template.format_map({**known, **layer}) if template else ""
            if code and not any((name, code) == (one.framework, one.code) for one in found):
                found.append(Line(name, own, code))
    return found


def _word(value: object) -> str:
    return (
        value
        if isinstance(value, str)
        else f"{value:g}"
        if isinstance(value, float)
        else f"{value}"
    )


def text(asked: Question, differences: Iterable[Difference]) -> Iterator[str]:
    """The lines to print: what is compared, and the three groups one after another."""
    differences = list(differences)
    names = " and ".join(TITLES[name] for name in asked.frameworks)
    size = "x".join(str(side) for side in asked.input_shape)
    optimizer = asked.recipe.optimizer.__struct_config__.tag
    yield (
        f"{names}: {asked.architecture.name} on pictures of {size}, {asked.classes} classes, "
        f"{optimizer}, batches of {asked.recipe.batch_size}, on {asked.device}; "
        f"what differs: {_SEEN[asked.symptom]}"
    )
    yield ""
    written: set[Line] = set()
    for verdict, heading in VERDICTS.items():
        group = [difference for difference in differences if difference.matters == verdict]
        if not group:
            continue
        yield f"{heading} ({len(group)}{', the largest first' if verdict != 'no' else ''})"
        for difference in group:
            yield f"  {difference.field}: {difference.why}"
            sizes = [difference.measured, difference.effect.words, difference.size]
            if verdict != "no":
                yield from (f"    {size}" for size in sizes if size)
                told = [f"{name} {value}" for name, value in difference.told.items() if value]
                yield f"    told as it stands: {'; '.join(told)}"
            if difference.lines and written.issuperset(difference.lines):
                yield "    lines as above"
                continue
            written.update(difference.lines)
            for line in difference.lines:
                first, *more = line.code.splitlines()
                yield f"    {TITLES[line.framework]:8} {first}"
                yield from (f"    {'':8} {row}" for row in more)
        yield ""


def render(asked: Question, console: Console | None = None) -> None:
    """Print them."""
    from results.terminal import Terminal

    console = console or Terminal(soft_wrap=True)
    for line in text(asked, explain(asked)):
        style = "bold" if line and not line.startswith(" ") else None
        console.print(line, markup=False, highlight=False, style=style)
