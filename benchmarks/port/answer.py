"""The answer for one pair of programs: what was found, or why it could not be compared."""

from __future__ import annotations

import msgspec

from benchmarks.port.compare import DIFFERENT, EQUAL, UNKNOWN, Found

BAD_INPUT = 2


class Answer(msgspec.Struct, kw_only=True):
    """labels: of A and B, as the user typed them. found: None where `error` says why."""

    labels: tuple[str, str]
    found: Found | None = None
    error: str = ""
    error_status: int = BAD_INPUT

    @property
    def status(self) -> int:
        """The exit status of this pair: what the programs compute, else how their training ends."""
        if self.found is None:
            return self.error_status
        trained = self.found.trained
        return DIFFERENT if trained is not None and trained.beyond else self.found.status

    @property
    def verdict(self) -> str:
        """One line."""
        if self.found is None:
            return f"error: {self.error}"
        trained, why = self.found.trained, self.found.not_trained
        told = trained.told if trained is not None else why and f"not trained: {why}"
        return "; ".join(filter(None, [self.found.verdict, told]))


def status(answers: list[Answer]) -> int:
    """The exit status of several: bad input, else different, else unknown, else equal."""
    found = {one.status for one in answers}
    return next(s for s in (BAD_INPUT, DIFFERENT, UNKNOWN, EQUAL) if s in found)
