"""Checks before the first run: parity with the reference, and the machine's peak speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.config.plan import PlannedRun
from benchmarks.config.suite import Suite
from benchmarks.fidelity.parity import check as parity
from benchmarks.fidelity.parity import network
from benchmarks.limits.collect import collect
from benchmarks.limits.found import Limits
from benchmarks.limits.show import table
from benchmarks.runner.context import Session


def opened(
    session: Session,
    runs: Sequence[PlannedRun],
    suite: Suite,
    *,
    scratch: Path,
    tell: Callable[[str], None],
) -> Session:
    """The session with the machine's limits and the parity of every configuration it will run.

    Args:
        runs: those that are to be run; with none there is nothing to find out.
        tell: called with each line that the user should see.
    """
    coming = [run for run in runs if not run.skip]
    if suite.check_parity and coming:
        if not all(parity.can_be_checked(run.config) for run in coming):
            tell("parity is not checked for native: only what is matched should compute alike")
        session = replace(session, parity=parity.check(coming, scratch / "parity", tell=tell))
    if suite.check_network and coming:
        tell("parity: every framework computes the network in float64 first")
        networks = network.check(coming, scratch / "network", tell=tell)
        session = replace(session, networks=networks)
    if suite.limits and coming:
        limits: dict[str, Limits] = {}
        for device in dict.fromkeys(run.config.device for run in coming):
            there = [run for run in coming if run.config.device == device]
            limits[device] = collect(
                list(dict.fromkeys(run.config.precision for run in there)),
                device=device,
                threads=coming[0].config.threads,
                interpreters={run.config.framework: run.python for run in there if run.python},
                tell=tell,
            )
            tell(table(limits[device]))
        session = replace(session, limits=limits)
    return session
