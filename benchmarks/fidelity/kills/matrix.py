"""R8: every mutant put through the cases of a user's default climb, and the rung that kills it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.fidelity import estimate, plan
from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.faults.catalog import MUTANTS, NETWORK, REPLICAS, Mutant
from benchmarks.fidelity.faults.rewritten import MovedError
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import Traces, collect
from benchmarks.fidelity.options import DEFAULT, parser
from benchmarks.fidelity.rungs.finding import Finding, Pair
from benchmarks.fidelity.rungs.judge import judge_pair
from benchmarks.fidelity.rungs.verdict import ORDER
from results.vocabulary import Tuning
from results.words import count

FOUND = ("killed", "crashes")
RUNGS = ("R0", "R1", "R2", "R3", "R4", "R5a", "R5d", "R5e")


@dataclass(frozen=True)
class Kill:
    """The ladder's result for one mutant, or for a framework without any (`mutant` empty).

    status: killed; crashes: the framework raises an error, which its user sees; survived; not run
    (also where the framework fails without it); or moved: what it patches is no longer there, or
    no number of its cases depends on it. Without a mutant: passed, failed or not run.
    rungs: passed, failed or not run, by rung. rung: the first that did not pass; metric, where,
    value, bound and cause are those of its first finding.
    """

    mutant: str
    framework: str
    mistake: str = ""
    expected: str = ""
    status: str = "not run"
    rung: str = ""
    metric: str = ""
    where: str = ""
    value: float = float("nan")
    bound: float = float("nan")
    cause: str = ""
    rungs: Mapping[str, str] = field(default_factory=dict)

    @property
    def as_it_should_be(self) -> bool:
        """A mutant is found; a framework without one passes."""
        return self.status in (FOUND if self.mutant else ("passed",))


@cache
def _climb(tuning: Tuning) -> tuple[Case, ...]:
    """The small cases of a default climb and of R5e, the same whatever network the user has."""
    rungs = ["--rungs", *DEFAULT, REPLICAS]
    options = parser().parse_args(["--architectures", NETWORK, "--tuning", tuning, *rungs])
    parts = plan.parts(options, [], plan.shared(options, None))
    return tuple(case for part in parts for case in part.cases)


def cases(mutant: Mutant) -> list[Case]:
    """Cases of the default climb that should kill a mutant, without its fault: those that its
    framework is asked for."""
    return [
        case
        for case in _climb(mutant.tuning)
        if case.name.startswith(mutant.put_through) and plan.asked_of(mutant.framework, case)
    ]


def faulty(mutant: Mutant) -> list[Case]:
    """The cases of `cases`, each with the mutant's fault."""
    return [
        msgspec.structs.replace(case, name=f"{case.name}+{mutant.name}", mutant=mutant.name)
        for case in cases(mutant)
    ]


def seconds(mutants: Iterable[str], parallel: int) -> float:
    """Seconds of a `kill_matrix` with so many processes at a time, on as many free cores."""
    chosen = [MUTANTS[name] for name in mutants]
    asked = {(one.framework, case.name): case for one in chosen for case in cases(one)}
    asked |= {(one.framework, case.name): case for one in chosen for case in faulty(one)}
    asked |= {(REFERENCE, case.name): case for case in list(asked.values()) if not case.mutant}
    return sum(estimate.of_case(name, case) for (name, _), case in asked.items()) / parallel


def kill_matrix(
    directory: Path,
    mutants: Iterable[str] | None = None,
    *,
    timeout: float = 3600.0,
    parallel: int = 1,
    done: Callable[[str, str], None] = lambda framework, case: None,
) -> list[Kill]:
    """Each framework and tuning without a fault, then each mutant, against the float64 reference.

    Args:
        directory: receives the arrays; created if need be.
        mutants: names; all by default.
        timeout: seconds without a case done, after which a process is killed.
        parallel: processes at a time.
        done: is told the framework and the name of each case that is done, from threads.
    """
    chosen = [MUTANTS[name] for name in (MUTANTS if mutants is None else mutants)]
    sound: dict[str, dict[str, Case]] = {}
    asked: dict[str, list[Case]] = {}
    for mutant in chosen:
        mine = {case.name: case for case in cases(mutant)}
        sound.setdefault(mutant.framework, {}).update(mine)
        asked.setdefault(mutant.framework, []).extend(faulty(mutant))
    controls = {name: case for mine in sound.values() for name, case in mine.items()}
    how = {"timeout": timeout, "parallel": parallel, "done": done}
    traces = collect([REFERENCE], list(controls.values()), directory, **how)  # type: ignore[arg-type]
    for framework, mine in sound.items():
        every = [*mine.values(), *asked[framework]]
        traces |= collect([framework], every, directory, **how)  # type: ignore[arg-type]
    judged = {
        (framework, name): _findings(traces, framework, case, name)
        for framework, mine in sound.items()
        for name, case in mine.items()
    }
    return [
        *(
            _control(framework, [judged[framework, name] for name in mine])
            for framework, mine in sound.items()
        ),
        *(
            _kill(mutant, traces, [judged[mutant.framework, case.name] for case in cases(mutant)])
            for mutant in chosen
        ),
    ]


def _findings(traces: Traces, framework: str, sound: Case, name: str) -> list[Finding]:
    return judge_pair(Pair(sound, traces[framework, name], traces[REFERENCE, sound.name]))


def _control(framework: str, judged: Sequence[list[Finding]]) -> Kill:
    """A framework without a fault, from the findings of its cases."""
    found = [finding for findings in judged for finding in findings]
    blank = Kill("", framework, "none")
    if reason := _not_run(found):
        return replace(blank, cause=reason)
    status = "passed" if all(f.status == "passed" for f in found) else "failed"
    return _described(replace(blank, status=status), found)


def _kill(mutant: Mutant, traces: Traces, judged: Sequence[list[Finding]]) -> Kill:
    """A mutant; judged: the findings of its cases without the fault."""
    framework = mutant.framework
    blank = Kill(mutant.name, framework, mutant.mistake, mutant.rung)
    sound = cases(mutant)
    control = [finding for findings in judged for finding in findings]
    if reason := _not_run(control):
        return replace(blank, cause=reason)
    if failing := next((f for f in control if f.status == "failed"), None):
        reason = f"{framework} fails without the fault too: {failing.rung} {failing.where}"
        return replace(blank, cause=reason)
    pairs = zip(sound, faulty(mutant), strict=True)
    found = [f for case, other in pairs for f in _findings(traces, framework, case, other.name)]
    if any(f.status == "failed" for f in found):
        return _described(replace(blank, status="killed"), found)
    if reason := _not_run(found):
        mine = [traces[framework, case.name] for case in faulty(mutant)]
        crashed = all(trace.raised for trace in mine if trace.path is None)
        moved = MovedError.__name__ in reason
        status = "moved" if moved else "crashes" if crashed else "not run"
        return replace(_described(blank, found), status=status, cause=reason)
    survived = _described(replace(blank, status="survived"), found)
    if all(_alike(traces, framework, *names) for names in zip(sound, faulty(mutant), strict=True)):
        cause = f"mutant '{mutant.name}' changes no number of its cases: what it patches is unused"
        return replace(survived, status="moved", cause=cause)
    return survived


def _alike(traces: Traces, framework: str, case: Case, other: Case) -> bool:
    """True if every array is the same, bit by bit, with the fault and without."""
    mine, faulty = traces[framework, case.name], traces[framework, other.name]
    return all(np.array_equal(mine[name], faulty[name]) for name in mine)


def _not_run(findings: Iterable[Finding]) -> str:
    return next((f.cause for f in findings if f.status == "not run"), "")


def _described(kill: Kill, findings: Sequence[Finding]) -> Kill:
    """The kill with every rung's verdict, and the first that failed, else the first not run."""
    rungs: dict[str, str] = {}
    for rung in RUNGS:
        found = {f.status for f in findings if f.rung == rung}
        worst = [status for status in ("failed", "not run", "passed") if status in found]
        rungs |= {rung: worst[0]} if worst else {}
    bad = [f for status in ("failed", "not run") for f in findings if f.status == status]
    if not bad:
        return replace(kill, rungs=rungs)
    first = min(bad, key=lambda f: (f.status != "failed", ORDER.index(f.rung)))
    return replace(
        kill,
        rung=first.rung,
        metric=first.metric,
        where=first.where,
        value=first.value,
        bound=first.bound,
        cause=first.cause,
        rungs=rungs,
    )


def markdown(kills: Iterable[Kill]) -> str:
    """The kill matrix as Markdown: the frameworks without a fault, then every mutant.

    Faults that every framework and tuning is given share a row, with the rung that killed each.
    """
    kills = list(kills)
    mutants = [kill for kill in kills if kill.mutant]
    dead, crashed = (sum(kill.status == status for kill in mutants) for status in FOUND)
    clean = sum(kill.as_it_should_be for kill in kills if not kill.mutant)
    summary = (
        f"{dead + crashed} of {count(len(mutants), 'mutant')} found: {dead} killed by a rung, "
        f"{crashed} by an error that the framework raises; {clean} of "
        f"{count(len(kills) - len(mutants), 'framework')} pass every rung without one."
    )
    command = f"`python -m benchmarks.fidelity --frameworks FRAMEWORK --architectures {NETWORK}`"
    how = (
        f"Each mutant is killed by a user's own command, {command}, whatever the network, and with "
        '`--tuning tuned` those of the tuned backends. "run" marks those that a plain '
        "`python -m benchmarks.run` has to notice as well (`self_checked`)."
    )
    own = [kill for kill in kills if not kill.mutant or not MUTANTS[kill.mutant].fault]
    shared = [kill for kill in mutants if MUTANTS[kill.mutant].fault]
    return "\n".join([summary, "", how, "", *_own(own), "", *_shared(shared), ""])


def _own(kills: Sequence[Kill]) -> list[str]:
    """A row for each mutant that one framework alone is given, and for each framework without."""
    if not kills:
        return []
    head = ["mutant", "in", "what was done wrong", "killed by", "first sign", "error"]
    lines = [_line([*head, "likely cause", "also"]), _line(["---"] * 8)]
    for kill in kills:
        name = f"`{kill.mutant}`" if kill.mutant else "**none**"
        sign = " ".join(filter(None, [kill.metric, kill.where]))
        error = f"{kill.value:.0e} > {kill.bound:.0e}" if kill.value == kill.value else ""
        told = [name, kill.framework, kill.mistake, _word(kill), sign, error]
        lines.append(_line([*told, kill.cause, _also(kill)]))
    return lines


def _shared(kills: Sequence[Kill]) -> list[str]:
    """A row for each fault, and a column for each framework and tuning that is given it."""
    if not kills:
        return []
    rows: dict[str, dict[tuple[str, str], Kill]] = {}
    for kill in kills:
        mutant = MUTANTS[kill.mutant]
        rows.setdefault(mutant.fault, {})[mutant.framework, mutant.tuning] = kill
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    head = [name if tuning == "idiomatic" else f"{name} tuned" for name, tuning in columns]
    lines = [_line(["fault", "what was done wrong", *head, "also"])]
    lines.append(_line(["---"] * 2 + [":-:"] * len(head) + ["---"]))
    for fault, row in rows.items():
        first = next(iter(row.values()))
        cells = [_word(row[key]) if key in row else "" for key in columns]
        lines.append(_line([f"`{fault}`", first.mistake, *cells, _also(first)]))
    return lines


def _word(kill: Kill) -> str:
    """The rung that killed it, or what happened instead."""
    if kill.status == "killed":
        return kill.rung
    plain = {"passed": "passes", "crashes": "crashes"}
    return plain.get(kill.status, f"**{kill.status}**")


def _also(kill: Kill) -> str:
    """The word "run" where a plain run has to notice the mutant, too."""
    return "run" if kill.mutant and MUTANTS[kill.mutant].in_a_run else ""


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
