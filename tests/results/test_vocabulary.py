"""Every verdict has one meaning, and no word is explained that is none."""

from typing import get_args

from results.stats.vocabulary import MEANING, Change, Equality, Replication, Speed, explained


def test_every_verdict_has_its_meaning() -> None:
    words = {word for kind in (Speed, Change, Equality, Replication) for word in get_args(kind)}
    assert set(MEANING) == words
    assert len(set(MEANING.values())) == len(words), "two words for one thing"
    assert explained(["equal", "equal"]) == f"equal: {MEANING['equal']}"
