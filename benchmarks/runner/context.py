"""The session: what all runs of one call of the command share."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fidelity.parity.check import ParityChecks
from benchmarks.fidelity.parity.network import NetworkChecks
from benchmarks.limits.found import Limits
from benchmarks.system import machine


@dataclass(frozen=True)
class Session:
    """What all runs of one call of the command share; limits and parity where they were asked for.

    limits: of each device that is computed on.
    """

    session_id: str
    machine: Mapping[str, Any]
    machine_id: str
    commit: str | None
    dirty: bool | None
    limits: Mapping[str, Limits] = field(default_factory=dict)
    parity: ParityChecks = field(default_factory=ParityChecks)
    networks: NetworkChecks = field(default_factory=NetworkChecks)


def describe_session() -> Session:
    """This machine and this checkout, under a new session id."""
    description = machine.describe()
    commit, dirty = machine.commit()
    return Session(
        session_id=uuid.uuid4().hex[:12],
        machine=description,
        machine_id=machine.machine_id(description),
        commit=commit,
        dirty=dirty,
    )
