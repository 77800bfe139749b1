"""Check, before anything starts, that a suite's frameworks can train on the replicas asked for."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.config.suite import Suite
from frameworks.backend import framework, frameworks
from results import words
from results.vocabulary import Device


def check(count: int, suite: Suite, devices: Mapping[str, Device]) -> None:
    """Check each framework and tuning that is to run.

    Args:
        count: replicas asked for.
        devices: where each framework computes.

    Raises:
        ValueError: one trains on one replica alone, would do so on a GPU, or deals no batch of
            these sizes; the message says what to do.
    """
    asked = f"--replicas {count}"
    for name, device in devices.items():
        known = framework(name)
        if lacking := [tuning for tuning in suite.tuning if tuning not in known.replicated]:
            raise ValueError(
                f"{asked}: {name} with tuning {lacking[0]} trains on one replica alone; leave it "
                f"out, or ask {_able()}."
            )
        if suite.accumulation > 1 and not known.deals_groups:
            raise ValueError(
                f"{asked}: {name} steps at every batch on several replicas, and accumulation is "
                f"{suite.accumulation}; leave it out, or take --accumulation 1."
            )
        if device != "cpu":
            raise ValueError(
                f"{asked}: replicas compute on the CPU alone so far, and {name} would compute on "
                f"{device}; add --device cpu."
            )
        uneven = [size for size in suite.batch_size if size % count]
        if uneven and not known.deals_unevenly:
            raise ValueError(
                f"{asked}: {name} deals batches evenly, and {words.count(uneven[0], 'image')} "
                f"cannot be dealt evenly to {count}; use a --batch-size that {count} divides."
            )


def _able() -> str:
    """The frameworks that train on several, with their tunings."""
    able = [one for one in frameworks().values() if one.replicated]
    return ", ".join(f"{one.name} ({' and '.join(one.replicated)})" for one in able)
