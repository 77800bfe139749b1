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
    """State shared by all runs of one call of the command.

    limits: peak speeds by device, where asked for. parity, networks: results of the parity checks,
    likewise. node: the name of this machine. engine: the program that starts the runs on it, such
    as a scheduler; job_id: its number of the job.
    """

    session_id: str
    machine: Mapping[str, Any]
    machine_id: str
    commit: str | None
    dirty: bool | None
    limits: Mapping[str, Limits] = field(default_factory=dict)
    parity: ParityChecks = field(default_factory=ParityChecks)
    networks: NetworkChecks = field(default_factory=NetworkChecks)
    node: str = ""
    engine: str = "local"
    job_id: str | None = None


def describe_session(
    session_id: str = "", engine: str = "local", job_id: str | None = None
) -> Session:
    """This machine and this checkout, under a new session id where none is given."""
    description = machine.describe()
    commit, dirty = machine.commit()
    return Session(
        session_id=session_id or uuid.uuid4().hex[:12],
        machine=description,
        machine_id=machine.machine_id(description),
        commit=commit,
        dirty=dirty,
        node=machine.node(),
        engine=engine,
        job_id=job_id,
    )
