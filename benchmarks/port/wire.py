"""The process of one program: it is asked by lines of JSON, and answers; arrays go by files."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from benchmarks.port.operation import Listing, PortError
from benchmarks.port.programs import Source, as_wire
from benchmarks.process.environment import environment
from benchmarks.process.spawn import Child
from results.door.arrays import archive

Arrays = dict[str, np.ndarray]


class Side:
    """A program in a process of its own; use it in a `with`.

    One process can serve several programs of a framework, one after the other.
    """

    def __init__(
        self, framework: str, scratch: Path, *, python: str = "", limit: float = 600.0
    ) -> None:
        """Start the process.

        Args:
            framework: of `programs.FRAMEWORKS`.
            scratch: a directory of its own.
            python: the interpreter; this one by default.
            limit: seconds for one answer.
        """
        scratch.mkdir(parents=True, exist_ok=True)
        self.framework, self.limit, self._scratch = framework, limit, scratch
        self._count = 0
        pipe = scratch / "requests"
        os.mkfifo(pipe)
        variables = environment(framework, device="cpu", threads=1, scratch=scratch)
        variables |= {"JAX_ENABLE_X64": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}
        self._child = Child("benchmarks.port.side", [pipe, scratch], variables, python=python)
        self._deadline = time.monotonic() + limit
        self._events = self._child.events(on_tick=self._late)
        # Opened for both ends, so that this does not wait for a child that cannot start.
        self._pipe = os.open(pipe, os.O_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()
        os.close(self._pipe)

    def open(self, source: Source, size: list[int]) -> Listing:
        """Read a program; `size` is that of a picture, [] where the program says it itself."""
        found, _ = self._ask("open", source=as_wire(source), size=size)
        return msgspec.convert(found, Listing, strict=False)  # JSON's keys are text

    def ask(self, what: str, arrays: Arrays | None = None, **words: Any) -> tuple[Any, Arrays]:
        """The answer to a request, in words and in arrays.

        Raises:
            PortError: the program cannot do it; the message says why.
        """
        return self._ask(what, arrays, **words)

    def _ask(self, what: str, arrays: Arrays | None = None, **words: Any) -> tuple[Any, Arrays]:
        self._count += 1
        request: dict[str, Any] = {"do": what, "number": self._count, **words}
        if arrays is not None:
            request["arrays"] = str(self._scratch / f"ask{self._count}.npz")
            np.savez(request["arrays"], **_safe(arrays))  # type: ignore[arg-type]
        line = (json.dumps(request) + "\n").encode()
        while line:
            line = line[os.write(self._pipe, line) :]
        answer = self._answer(what)
        if "arrays" in request:
            Path(request["arrays"]).unlink()
        if answer.get("refused"):
            raise PortError(answer["refused"], answer.get("status", 2))
        made: Arrays = {}
        if answer.get("arrays"):
            path = Path(answer["arrays"])
            made = {_unsafe(k): v for k, v in archive(path, "an answer").items()}
            path.unlink()
        return answer.get("words"), made

    def _answer(self, what: str) -> dict[str, Any]:
        self._deadline = time.monotonic() + self.limit
        for event in self._events:
            if event["event"] == "facts":
                found: dict[str, Any] = event["values"]["answer"]
                return found
        raise PortError(
            f"the program's process ended during '{what}': {self._child.failure()}", status=4
        )

    def _late(self) -> None:
        if time.monotonic() > self._deadline:
            self._child.reject(f"no answer within {self.limit:g} s")


def _safe(arrays: Arrays) -> Arrays:
    """Names of weights hold slashes, which an archive takes for folders."""
    return {key.replace("/", "|"): value for key, value in arrays.items()}


def _unsafe(key: str) -> str:
    return key.replace("|", "/")
