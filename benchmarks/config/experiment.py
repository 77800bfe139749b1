"""An experiment: a published training as a suite, with the figures that were reported of it.

One TOML file each. `[run]` has the fields of a suite, `[sizes]` the published split, `[[reported]]`
the figures. What is known to mislead is told by name in `traps.toml`, beside this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from benchmarks.config.suite import Suite
from benchmarks.config.suite_file import convert, relative_to
from frameworks.spec.reading import SpecificationError, check_fields, read_table
from results.studies.reported import METRICS, Declared, Reported, Sizes
from results.vocabulary import near_miss, unknown

DIRECTORY = Path(__file__).parents[1] / "experiments"
TRAPS = Path(__file__).parents[1] / "traps.toml"
ALL = "all"

# What does not make it another experiment: who runs it, how often, where, and how fast.
FREE_FIELDS = (
    *("name", "description", "frameworks", "seeds", "processes", "nudge_repeats", "split_seed"),
    *("deterministic", "device", "threads", "timeout", "control", "limits", "check_parity"),
    "check_network",
    *("parity", "tuning", "precision", "feed", "warmup_epochs", "replicas"),
    "side_by_side",
    "dataset",  # judged by the file's own hash
)


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A published training.

    Attributes:
        source: where the recipe is published; of the figures that name none, too.
        framework: that it was published in; of the figures that name none, too.
        run: what is run here.
        sizes: images of each part in the published run, where they are known.
        not_comparable: why none of the figures can be compared, if that is so.
        traps: keys that concern every figure.
    """

    name: str
    title: str
    source: str
    description: str = ""
    framework: str = "keras"
    run: Suite
    sizes: Sizes | None = None
    reported: tuple[Reported, ...] = ()
    not_comparable: str = ""
    traps: tuple[str, ...] = ()

    def figures(self) -> tuple[Reported, ...]:
        """The reported figures, with what the file says of all of them written into each."""
        return tuple(
            msgspec.structs.replace(
                one,
                source=one.source or self.source,
                framework=one.framework or self.framework,
                comparable=one.comparable and not self._stands_in(one),
                reason=one.reason or self._stands_in(one),
                traps=tuple(dict.fromkeys((*one.traps, *self.traps))),
            )
            for one in self.reported
        )

    def _stands_in(self, figure: Reported) -> str:
        """A count of parameters is the network's, whatever it is trained on."""
        return "" if figure.metric == "parameters" else self.not_comparable

    def declared(self, suite: Suite, sha256: str | None) -> Declared:
        """The experiment as a run of `suite` carries it: figures, their traps and changed fields.

        Args:
            suite: the experiment's, with the options in place of its fields.
            sha256: of the published file of the experiment's galaxies.
        """
        figures = self.figures()
        texts = traps()
        used = dict.fromkeys((*self.traps, *(key for one in figures for key in one.traps)))
        return Declared(
            name=self.name,
            title=self.title,
            source=self.source,
            dataset=self.run.dataset,
            sha256=sha256,
            sizes=self.sizes,
            reported=figures,
            traps={key: texts[key] for key in used},
            changed=changes(self.run, suite),
            parity=self.run.parity,
            precision=self.run.precision,
        )


def available() -> list[str]:
    """Names of the experiments that ship with the project."""
    return sorted(path.stem for path in DIRECTORY.glob("*.toml"))


def traps() -> dict[str, str]:
    """Known causes of a misleading figure, by key: one or two sentences each."""
    return read_table(TRAPS, "traps")


def load(name_or_path: str) -> Experiment:
    """Read and validate an experiment: a shipped name, or the path of a TOML file.

    Paths of architectures and data sets inside the file are relative to it.

    Raises:
        SpecificationError: unknown name, unreadable or malformed file, unknown field, metric or
            trap, a bad value; the message names the file and the field.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and "/" not in name_or_path:
        path = DIRECTORY / f"{name_or_path}.toml"
        if not path.exists():
            known = available()
            raise SpecificationError(
                f"unknown experiment '{name_or_path}'{near_miss(name_or_path, [*known, ALL])}. "
                f"Known: {', '.join(known)}; or {ALL}, or the path of a .toml file."
            )
    table = read_table(path, "experiment")
    return _checked({"name": path.stem, **table}, path)


def changes(published: Suite, suite: Suite) -> dict[str, tuple[Any, Any]]:
    """The fields that make it another experiment: what they were, and what they are now."""
    found = {}
    for name in (field.name for field in msgspec.structs.fields(Suite)):
        was, now = getattr(published, name), getattr(suite, name)
        if name not in FREE_FIELDS and was != now:
            found[name] = (msgspec.to_builtins(was), msgspec.to_builtins(now))
    return found


def scaled(suite: Suite, scale: float, *, but: frozenset[str] = frozenset()) -> Suite:
    """The suite with proportionally less data and fewer epochs, at least one.

    Args:
        scale: above 0, at most 1.
        but: fields that stay as they are, because the user has stated them.

    Raises:
        SpecificationError: a scale out of range.
    """
    if not 0 < scale <= 1:
        raise SpecificationError(f"--scale is {scale:g}; above 0, and at most 1.")
    less: dict[str, Any] = {}
    if "fraction" not in but:
        less["fraction"] = suite.fraction * scale
    if "epochs" not in but and suite.epochs:
        less["epochs"] = max(1, round(suite.epochs * scale))
    return msgspec.structs.replace(suite, **less)


def _checked(table: dict[str, Any], path: Path) -> Experiment:
    check_fields(table, Experiment, str(path))
    figures = table.get("reported", [])
    if not isinstance(figures, list):
        raise SpecificationError(f"{path}: field 'reported': expected [[reported]] tables.")
    for number, figure in enumerate(figures, start=1):
        where = f"{path}: reported {number}"
        if not isinstance(figure, dict):
            raise SpecificationError(f"{where}: expected a table, got {type(figure).__name__}.")
        check_fields(figure, Reported, where)
        metric = figure.get("metric")
        if metric is not None and str(metric) not in METRICS:
            raise SpecificationError(
                f"{where}: field 'metric' is {metric!r}{near_miss(str(metric), list(METRICS))}. "
                f"Known: {', '.join(METRICS)}."
            )
    run = table.get("run")
    if not isinstance(run, dict):
        raise SpecificationError(f"{path}: no [run] table, which says what is run.")
    suite = convert({"name": table["name"], **run}, origin=f"{path}: run")
    try:
        found = msgspec.convert(
            {**table, "run": msgspec.to_builtins(suite)}, Experiment, str_keys=True
        )
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at ")
        field = place.strip("`").removeprefix("$.")
        raise SpecificationError(f"{path}: field '{field}': {reason}.") from error
    texts = list(traps())
    for key in dict.fromkeys((*found.traps, *(key for one in found.reported for key in one.traps))):
        if key not in texts:
            raise SpecificationError(f"{path}: {unknown('trap', key, texts)}")
    for number, one in enumerate(found.reported, start=1):
        if not one.comparable and not one.reason:
            raise SpecificationError(
                f"{path}: reported {number}: comparable is false; say the reason."
            )
        if (one.metric == "recall") != (one.label is not None):
            raise SpecificationError(
                f"{path}: reported {number}: a recall, and it alone, has a label."
            )
    # shipped ones have architectures of their own beside them, and name data sets of the catalogue
    return msgspec.structs.replace(found, run=relative_to(path.parent, suite))
