"""The quantities that are tracked, and what counts as a change of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from results.stats.verdict import Rule
from results.vocabulary import unknown


@dataclass(frozen=True)
class Metric:
    """One quantity of a run.

    name: on the command line; title, unit: in words; rule: what counts as a change by default;
    scale: what a stored value is multiplied by for the unit.
    """

    name: str
    title: str
    unit: str
    rule: Rule
    scale: float = 1.0

    @property
    def larger_is_better(self) -> bool:
        """True if a larger value is an improvement."""
        return self.rule.larger_is_better


# Relative thresholds: of times the 3 % of the method; compile time is taken once a process and
# varies more; accuracy moves in steps of a test image.
METRICS = {
    metric.name: metric
    for metric in (
        Metric("epoch-time", "epoch time", "s", Rule()),
        Metric("images-per-second", "images/s", "1/s", Rule(larger_is_better=True)),
        Metric(
            "compile-time", "compile time", "s", Rule(relative=0.10, absolute=0.1, excluded=0.3)
        ),
        Metric("peak-memory", "peak memory", "MiB", Rule(absolute=8.0), 2.0**-20),
        Metric(
            "accuracy",
            "test accuracy",
            "",
            Rule(relative=0.02, absolute=0.005, larger_is_better=True),
        ),
        Metric("call-time", "time of one call", "s", Rule()),
    )
}
IMPORTED = ("call-time",)  # of benchmarks that were imported from other tools
GATED = ("epoch-time", "call-time")
OF_EPOCHS = ("epoch-time", "images-per-second")


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        ValueError: unknown; the message has the near miss.
    """
    if name not in METRICS:
        raise ValueError(unknown("metric", name, METRICS))
    return METRICS[name]


def asked(names: Sequence[str], thresholds: Sequence[str] = ()) -> list[Metric]:
    """The metrics of these names, with thresholds of the user's.

    Args:
        names: of METRICS.
        thresholds: `METRIC=RELATIVE` or `METRIC=RELATIVE,ABSOLUTE`, as in `epoch-time=5%` and
            `peak-memory=0.03,16`; the absolute one is in the metric's unit.

    Raises:
        ValueError: an unknown metric, or a threshold that is no number, or below 0.
    """
    chosen = {name: metric(name) for name in names}
    for text in thresholds:
        name, equals, numbers = text.partition("=")
        known = metric(name)
        parts = numbers.split(",")
        try:
            values = [_share(parts[0]), *(float(part) for part in parts[1:])]
            if not equals or len(values) > 2 or not all(0 <= one < float("inf") for one in values):
                raise ValueError
        except ValueError:
            raise ValueError(
                f"threshold '{text}': expected METRIC=RELATIVE or METRIC=RELATIVE,ABSOLUTE, as in "
                f"{known.name}=5% or {known.name}=0.05,0.5"
            ) from None
        chosen[name] = replace(known, rule=_with(known.rule, *values))
    return list(chosen.values())


def _with(rule: Rule, relative: float, absolute: float | None = None) -> Rule:
    """The rule with these thresholds; no smaller change need be excluded."""
    return replace(
        rule,
        relative=relative,
        absolute=rule.absolute if absolute is None else absolute,
        excluded=max(rule.excluded, relative),
    )


def _share(text: str) -> float:
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
