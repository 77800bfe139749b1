"""The sentences that terminal and page begin with, made from invented runs."""

from datetime import UTC, datetime

import pytest

from results.parquet import findings
from results.stats.noise import NEEDED
from results.store import Store
from results.views.answers import Answer, answers
from results.views.views import Frames
from tests.helpers.factory import fill, fill_speed, synthetic_run

FRAMEWORKS = ("keras", "torch", "jax")


def told(store: Store) -> dict[str, Answer]:
    return {one.question: one for one in answers(Frames.load(store))}


def one_network(tmp_path, seeds=(0, 1), **changes) -> Store:
    return fill(Store(tmp_path), architectures=("unam",), seeds=seeds, failures=False, **changes)


def test_four_questions_in_order_each_with_its_evidence(tmp_path) -> None:
    found = answers(Frames.load(one_network(tmp_path)))
    assert [one.question for one in found] == [
        "Same network?",
        "Same accuracy?",
        "Which is faster?",
        "Since last time?",
    ]
    assert [one.evidence for one in found] == ["same", "outcome", "speed", "speed"]
    assert not any(one.about for one in found)


def test_the_network_is_the_same_to_what_the_check_has_shown(tmp_path) -> None:
    extra = {
        "network_check": {
            "passed": True,
            "rungs": ["R1", "R2", "R5a"],
            "precision": "float64",
            "value": 3e-14,
            "bound": 1e-12,
            "share": 0.03,
        }
    }
    found = told(one_network(tmp_path, extra=extra))["Same network?"]
    assert found.verdict == "yes"
    assert "R1, R2 and R5a, float64" in found.sentence
    assert "3e-14 of 1e-12 allowed" in found.sentence


def test_who_failed_the_parity_check_is_named_with_the_reason(tmp_path) -> None:
    store = one_network(tmp_path, frameworks=("keras",), parity_checked=True)
    extra = {"parity_failures": ["R2 gradient: 0.5 at conv is beyond 1e-11"]}
    fill(
        store,
        frameworks=("torch",),
        architectures=("unam",),
        seeds=(0, 1),
        failures=False,
        parity_checked=False,
        extra=extra,
    )
    found = told(store)["Same network?"]
    assert found.verdict == "no"
    assert "PyTorch did not pass" in found.sentence
    assert "R2 gradient" in found.sentence


def test_a_check_that_was_not_made_is_no_yes(tmp_path) -> None:
    found = told(one_network(tmp_path))["Same network?"]
    assert found.verdict == "not checked"
    assert "python -m benchmarks.fidelity --frameworks keras torch jax" in found.sentence


def test_native_runs_are_told_what_each_framework_had_of_its_own(tmp_path) -> None:
    said = told(one_network(tmp_path / "a", parity="native"))["Same network?"].sentence
    assert said.endswith("its own initial weights, masks and defaults.")
    recipe = {"augment": {"flip": "both", "by": "framework"}}
    drawn = one_network(tmp_path / "b", parity="native", recipe=recipe)
    assert "masks, augmented pictures and defaults." in told(drawn)["Same network?"].sentence


def test_frameworks_that_were_given_other_batches_are_refused(tmp_path) -> None:
    store = one_network(tmp_path, frameworks=("keras",))
    store.append(*synthetic_run("torch", order_hash="another"))
    found = told(store)
    assert found["Same network?"].verdict == "no"
    assert "batch order" in found["Same network?"].sentence
    assert found["Same accuracy?"].verdict == "not compared"


def test_few_seeds_leave_the_accuracy_undecided_and_say_how_many_it_takes(tmp_path) -> None:
    found = told(one_network(tmp_path))["Same accuracy?"]
    assert found.verdict == "undecided"
    assert "over 2 seeds" in found.sentence
    assert "90 % interval" in found.sentence
    assert "takes at least" in found.sentence
    assert "(DEMO)" in found.sentence
    assert "most common class gives 0.321" in found.sentence


@pytest.mark.parametrize(
    ("shift", "verdict", "begins"), [(0.0, "yes", "Yes, within 1 point"), (0.2, "no", "No, in")]
)
def test_many_seeds_decide_the_accuracy(tmp_path, shift, verdict, begins) -> None:
    store = Store(tmp_path)
    for seed in range(6):
        for framework in ("keras", "torch"):
            accuracy = 0.7 + 0.001 * (seed % 3) + (shift if framework == "torch" else 0)
            store.append(*synthetic_run(framework, seed=seed, test_accuracy=accuracy))
    found = told(store)["Same accuracy?"]
    assert found.verdict == verdict
    assert found.sentence.startswith(begins)


def test_one_process_each_is_not_for_quoting(tmp_path) -> None:
    found = told(one_network(tmp_path))["Which is faster?"]
    assert found.sentence.startswith("No verdict: one process of each seed")
    assert "not for quoting" in found.sentence
    assert "Keras (TensorFlow)" in found.sentence


def test_a_speed_session_names_the_faster_with_its_ratio(tmp_path) -> None:
    found = [
        one for one in answers(Frames.load(fill_speed(Store(tmp_path)))) if "faster" in one.question
    ]
    assert [one.verdict for one in found] == ["Keras (TensorFlow)"] * 2
    assert all("of the time of PyTorch" in one.sentence for one in found)
    assert all(one.about for one in found)  # tuned and idiomatic are told apart


def test_a_first_session_has_nothing_before_it(tmp_path) -> None:
    assert told(one_network(tmp_path))["Since last time?"].verdict == "first session"


KEPT = NEEDED + 2  # sessions: the last of them is judged


@pytest.mark.parametrize(
    ("sessions", "slower", "verdict"),
    [(2, 1.0, "no-data"), (KEPT, 1.0, "unchanged"), (KEPT, 1.5, "regressed")],
)
def test_since_last_time_is_the_gates_verdict(tmp_path, sessions, slower, verdict) -> None:
    store = Store(tmp_path)
    for session in range(sessions):
        for seed in range(6):
            run, epochs, _ = synthetic_run("torch", seed=seed, execution=session)
            run["session_id"] = f"session-{session}"
            for row in epochs:
                if row["epoch_seconds"] is not None:
                    pace = 1 + 0.001 * seed + 0.001 * (session % 3)
                    row["epoch_seconds"] = pace * (slower if session == sessions - 1 else 1)
            store.append(run, epochs, [])
    found = told(store)["Since last time?"]
    assert found.verdict == verdict
    assert "PyTorch" in found.sentence


def test_what_is_left_out_is_counted(tmp_path) -> None:
    networks = tuple(f"network-{number}" for number in range(5))
    store = fill(Store(tmp_path), architectures=networks, seeds=(0,), failures=False)
    found = answers(Frames.load(store))
    assert found[-1].sentence.startswith("2 further networks and settings")
    told = {one.question: one.about for one in found[:-1]}
    assert told["Since last time?"] == "network-0, network-1 and network-2", "alike: told once"
    assert all(name in " ".join(one.about for one in found[:-1]) for name in networks[:3])


def test_a_store_of_failed_runs_says_so(tmp_path) -> None:
    store = Store(tmp_path)
    store.append(*synthetic_run("torch", status="error", reason="no memory"))
    (found,) = answers(Frames.load(store))
    assert "No run finished (1 error)" in found.sentence


def test_fifty_frameworks_two_hundred_classes_and_no_epochs(tmp_path) -> None:
    store = Store(tmp_path)
    for number in range(50):
        run, _, _ = synthetic_run(f"third-{number}", class_names=[f"c{k}" for k in range(200)])
        store.append(run, [], [])
    found = told(store)
    assert found["Same accuracy?"].verdict == "undecided"
    assert "Which is faster?" not in found  # nothing was timed


def test_runs_stored_before_there_were_these_columns(tmp_path) -> None:
    unknown = dict.fromkeys(("class_names", "class_counts", "parity_checked", "threads"))
    store = one_network(tmp_path, **unknown)
    assert len(told(store)) == 4


def test_an_answer_is_one_line() -> None:
    answer = Answer("Same network?", "yes", "Yes.", "same").of("unam")
    assert answer.line == "Same network? (unam) Yes."


LADDER = {
    "architecture": "unam",
    "against": "numpy",
    "metric": "weights",
    "value": 1e-14,
    "bound": 1e-12,
    "where": "",
    "cause": "",
    "flips": 0,
}


def climbed(store: Store, *rows: dict, **changes) -> Answer:
    """The answer of a store with a climb of two frameworks, of which each row is a finding."""
    found = [
        {**LADDER, "framework": name, "status": "passed", "precision": "float64", **row}
        for name in ("keras", "torch")
        for row in rows
    ]
    shared = {"machine": "{}", "versions": "{}", "command": "ladder", **changes}
    started = datetime(2026, 1, 1, tzinfo=UTC)
    findings.append(store.path, found, climb_id="a", started_at=started, **shared)
    return told(store)["Same network?"]


R1 = {"rung": "R1", "case": "unam-adam-10-float64"}


@pytest.mark.parametrize(
    ("rows", "verdict", "words"),
    [
        ([R1], "yes", "Yes, by the fidelity ladder: Keras (TensorFlow) and PyTorch passed 2 of 2"),
        ([R1, R1 | {"status": "failed"}], "no", "failed 2 of 4 checks"),
        ([R1, R1 | {"rung": "R2", "status": "not run"}], "not shown", "2 could not be made"),
    ],
)
def test_the_ladder_answers_where_no_run_was_checked(tmp_path, rows, verdict, words) -> None:
    found = climbed(one_network(tmp_path, frameworks=("keras", "torch")), *rows)
    assert found.verdict == verdict
    assert words in found.sentence


@pytest.mark.parametrize(
    ("runs", "row", "climb"),
    [
        ({"tuning": "tuned"}, {}, {}),
        ({}, {"case": "unam-adam-10-float64-tuned"}, {}),
        ({"device": "cuda"}, {}, {}),
        ({}, {"precision": "bfloat16"}, {}),
        ({}, {"architecture": "c2"}, {}),
        ({}, {}, {"versions": '{"numpy": "1.0.0"}'}),
    ],
    ids=["runs tuned", "climb tuned", "device", "precision", "network", "versions"],
)
def test_a_climb_of_other_conditions_says_nothing_of_these_runs(tmp_path, runs, row, climb):
    store = one_network(tmp_path, frameworks=("keras", "torch"), **runs)
    assert climbed(store, R1 | row, **climb).verdict == "not checked"
