"""`--explain NAME|FILE.toml`: of what the frameworks do differently with the words of a
specification, what will matter here, how much, and the line that aligns each.

The question is that of a port by hand: each framework told what the specification states, under
the argument of that name, and nothing else. `differences/` says what differs, `effects`
computes how much for this network and recipe, `lines` writes the code.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.fidelity.explain import ranking
from benchmarks.fidelity.explain.conditions import HAS
from benchmarks.fidelity.explain.effects import EFFECTS, Effect
from benchmarks.fidelity.explain.facts import facts
from benchmarks.fidelity.explain.lines import flax, keras, torch
from benchmarks.fidelity.explain.question import Placed, Question, Symptom
from frameworks.spec.defaults import NATIVE, PROJECT, REQUIRED, lacks
from frameworks.spec.layers import applies
from frameworks.spec.losses import CrossEntropy
from frameworks.spec.reading import read_table
from frameworks.spec.recipe import OPTIMIZERS

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
SEEN = {
    "training": "scores of networks trained anew",
    "outputs": "outputs with the same weights",
    "loss": "the loss that is reported",
    "memory": "the memory taken",
}
_ALIKE = "these frameworks default alike"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A difference in `differences/`; the head of `layers.toml` says what its fields mean."""

    why: str
    about: Mapping[str, str] = {}
    layers: tuple[str, ...] = ()
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    shows: Mapping[Symptom, Verdict] = msgspec.field(default_factory=lambda: {"training": "yes"})
    needs: Mapping[str, str] = {}
    accelerator: bool = False
    form: bool = False
    stated: bool = False
    complement: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    argument: Mapping[str, Mapping[str, str]] = {}
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
    alike: tuple[str, ...] = ()  # further layers with this line but for the name


@dataclass(frozen=True)
class Difference:
    """Something that the frameworks asked for do differently, or would.

    Attributes:
        field: named as in `frameworks.spec.defaults` where it is there.
        matters: here; "sometimes" depends on what is not stated.
        told: what each framework does with the specification's words, by name.
        effect: how far apart that puts them; `size`: what else is known of how much.
        stated: the question states what it is about, and it means something else elsewhere.
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
    stated: bool = False


def explain(asked: Question) -> list[Difference]:
    """Every difference: those that matter ahead of those that may; of these the ones to look at
    `ranking.first`, then the largest."""
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
        key=lambda one: (
            *(order.index(one.matters), not ranking.first(one.effect, one.stated)),
            *(-round(one.effect.times, 6), not one.measured),
        ),
    )


@functools.cache
def _table() -> dict[str, _Entry]:
    """The differences by field."""
    found: dict[str, _Entry] = {}
    for path in sorted((Path(__file__).parent / "differences").glob("*.toml")):
        table = msgspec.convert(read_table(path, "differences"), dict[str, _Entry])
        for field, entry in table.items():
            if "{layer}" not in field:
                found[field] = entry
                continue
            for kind in entry.layers:
                one = msgspec.structs.replace(entry, layers=(kind,))
                found[field.replace("{layer}", kind)] = one
    return found


def _difference(
    field: str, attribute: str, entry: _Entry, asked: Question, known: Mapping[str, Any]
) -> Difference:
    parts: list[Placed | None] = [*asked.placed(*entry.layers)] if entry.layers else [None]
    told: list[tuple[Placed | None, dict[str, Any]]]
    open_to: dict[str, str] = {}  # where a user has to choose, and no framework's default decides
    if field in PROJECT:
        parts = [one for one in parts if one is None or applies(one.layer, attribute)]
        told = [(part, _told(field, entry, asked, part)) for part in parts]
        asks = [name for name in asked.frameworks if field in REQUIRED[asked.kind(name)]]
        wants = [name for name in asks if field not in entry.argument.get(asked.kind(name), ())]
        apart = [(part, values) for part, values in told if len(set(values.values())) > 1]
        none = _why_none(parts, [_given(asked, part, field) for part in parts])
        if wants and none == _ALIKE:
            none = f"{TITLES[wants[0]]} asks for one, and is given the project's here"
            texts = {TITLES[name]: _of(entry.native, asked, name) for name in wants}
            open_to = {title: text for title, text in texts.items() if text}
        stated = any(_given(asked, part, field) is not None for part in parts)
    else:
        has, none = HAS.get(field, (lambda asked, part: True, ""))
        values = {name: _of(entry.native, asked, name) for name in asked.frameworks}
        told = [(part, values) for part in parts if has(asked, part)]
        differ = len({value for value in values.values() if value}) > 1
        apart = told if differ else []
        none = none if not told else "these frameworks do the same"
        plain = field == "loss.takes" and asked.filled.loss == CrossEntropy()
        stated = entry.stated and bool(told) and not plain
    effect = _largest(entry, attribute, asked, apart)
    verdict, reason = _verdict(entry, asked, known, bool(apart or open_to), none)
    if verdict == "yes" and not apart:
        verdict = "sometimes"
    own = field in PROJECT and not entry.form
    needed = verdict != "no" or (stated and not _unmet(entry, known))
    return Difference(
        field,
        verdict,
        reason or _who(asked, parts, field) + _why(entry, asked).format_map(known),
        {TITLES[name]: word(value) for name, value in (told[0][1] if told else {}).items()}
        | open_to,
        effect,
        entry.size,
        _measured(entry, asked, apart, field),
        _lines(entry, asked, known, [part for part, _ in told]) if needed else (),
        entry.lines if isinstance(entry.lines, str) else "",
        ranking.states(entry.states or ((attribute,) if own else ()), asked, [p for p, _ in apart]),
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
        if given is None or entry.form or lacks(kind, field, given):
            values[name] = entry.argument.get(kind, NATIVE[kind]).get(field, NATIVE[kind][field])
        else:
            values[name] = 1 - given if kind in entry.complement else given
    return values


def _of(texts: Mapping[str, str], asked: Question, name: str) -> str:
    return texts.get(name, texts.get(asked.kind(name), ""))


def _why_none(parts: Sequence[Placed | None], given: Sequence[Any]) -> str:
    if not parts:
        return "no layer has it"
    if None in given:
        return _ALIKE
    value = f": {word(given[0])}" if parts == [None] else ""
    return f"it is stated{value}, and means the same in these frameworks"


def _verdict(
    entry: _Entry, asked: Question, known: Mapping[str, Any], apart: bool, none: str
) -> tuple[Verdict, str]:
    """The verdict on a difference; if it is no, also the reason."""
    if unmet := _unmet(entry, known):
        return "no", unmet
    if not apart:
        return "no", none
    if asked.symptom not in entry.shows:
        return "no", f"it does not show in {SEEN[asked.symptom]}"
    verdict = entry.shows[asked.symptom]
    return ("sometimes" if entry.accelerator and asked.device == "cpu" else verdict), ""


def _unmet(entry: _Entry, known: Mapping[str, Any]) -> str:
    return next((reason for fact, reason in entry.needs.items() if not known[fact]), "")


def _who(asked: Question, parts: Sequence[Placed | None], field: str) -> str:
    """The layers that leave a field open, and those that state a value, in words."""
    if field not in PROJECT:
        return ""
    given: dict[str | None, list[str]] = {}
    for part in parts:
        value = _given(asked, part, field)
        said = None if value is None else word(value)
        given.setdefault(said, []).append(part.layer.name if part else "the recipe")
    left = given.pop(None, [])
    said_by = [
        f"{_few(names)} {'states' if len(names) == 1 else 'state'} {value}"
        for value, names in given.items()
    ]
    return "; ".join(([f"left open by {_few(left)}"] if left else []) + said_by) + ": "


def _few(names: Sequence[str]) -> str:
    """Names, the first of them where there are many."""
    more = len(names) - 4
    return ", ".join(names if more < 2 else [*names[:4], f"{more} more"])


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
        if entry.effect in ("steps", "steps_of_changing_rates", "function"):
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
                code = code.replace("{name}", own)  # of a fact that is a line
            if code:
                _add(found, Line(name, own, code))
    return found


def _add(lines: list[Line], new: Line) -> None:
    """A line more; one that differs by the layer's name alone is the line of both layers."""
    bare = nameless(new)
    for place, line in enumerate(lines):
        if line.framework == new.framework and nameless(line) == bare:
            if new.part not in ("", line.part, *line.alike):
                lines[place] = replace(line, alike=(*line.alike, new.part))
            return
    lines.append(new)


def nameless(line: Line) -> str:
    """The code without the layer's name."""
    return re.sub(rf"\b{line.part}(?=_activation\b|\b)", "", line.code) if line.part else line.code


def word(value: object) -> str:
    return (
        value
        if isinstance(value, str)
        else f"{value:g}"
        if isinstance(value, float)
        else f"{value}"
    )
