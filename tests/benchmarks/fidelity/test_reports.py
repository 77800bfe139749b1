"""The causes of porting reports are named, and come first."""

from tests.helpers import reports


def test_the_causes_of_public_reports_are_named_and_come_first():
    answers = reports.answers()
    assert len(answers) == 17
    assert [one.report["number"] for one in answers] == list(range(1, 18))
    writable = [one for one in answers if one.report["writable"]]
    assert len(writable) == 16
    assert all(one.cause is not None for one in writable)
    first = [one.report["number"] for one in writable if one.place == 1]
    assert set(range(1, 18)) - set(first) == {15, 16}  # of a version not installed; not writable
    assert all(one.lines >= 1 for one in writable)
    assert all(one.cause is not None for one in answers)


def test_the_causes_of_our_own_reports_come_first_where_a_recipe_states_them():
    answers = reports.answers(reports.OWN)
    assert len(answers) == 14
    assert all(one.cause is not None and one.lines for one in answers)
    later = {one.report["cause"]: one.cause.matters for one in answers if one.place != 1}
    assert later == {"batches.shuffled": "sometimes", "loss scale": "sometimes"}
