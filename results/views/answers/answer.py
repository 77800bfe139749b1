"""An answer: a question, a sentence, and where its evidence stands."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Answer:
    """One question, answered.

    Attributes:
        question: as a reader asks it.
        verdict: in a word or two: "yes", "no", "undecided", "not checked", "faster", ...
        sentence: the answer, one to three plain sentences.
        evidence: key of the page's section that shows what it rests on.
        about: the network and settings, where the store holds several; else empty.
    """

    question: str
    verdict: str
    sentence: str
    evidence: str
    about: str = ""

    @property
    def line(self) -> str:
        """The answer as one line of a terminal."""
        return f"{self.question}{f' ({self.about})' if self.about else ''} {self.sentence}"

    def of(self, about: str) -> Answer:
        """This answer with its subject stated."""
        return replace(self, about=about)
