"""Processes that take turns: who runs when, and what happens when one ends or knows of no turns."""

import os
import time
from functools import partial

import pytest

from benchmarks.process.alternate import Process, alternate
from benchmarks.process.spawn import Child
from benchmarks.process.turns import VARIABLE, Turns, descriptors
from benchmarks.system import machine

TRAINS = """
import sys, time
from benchmarks.process.turns import Turns
name, epochs, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
turns = Turns()
for number in range(epochs + 1):
    if number:
        turns.next()
    with open(file, "a") as log:
        log.write(f"{name}{number} begins\\n")
        log.flush()
        time.sleep(0.05)
        log.write(f"{name}{number} ends\\n")
sys.exit(epochs)
"""


def process(name, epochs, file, text=TRAINS):
    (file.parent / f"trains_{name}.py").write_text(text)
    variables = os.environ | {"PYTHONPATH": f"{file.parent}{os.pathsep}{machine.ROOT}"}
    return Process(partial(Child, f"trains_{name}", [name, str(epochs), file]), variables)


def ran(file):
    """What ran, in order; that nothing ran at the same time."""
    lines = file.read_text().splitlines()
    began, ended = lines[::2], lines[1::2]
    assert [line.split()[0] for line in began] == [line.split()[0] for line in ended]
    assert all(line.endswith("begins") for line in began)
    return [line.split()[0] for line in began]


def test_epochs_alternate_and_one_that_ends_leaves_the_turn_to_the_others(tmp_path):
    file = tmp_path / "log"
    processes = [process("a", 3, file), process("b", 1, file), process("c", 2, file)]
    alternate(processes)
    assert ran(file) == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "c2", "a3"]
    assert [one.child.status for one in processes] == [3, 1, 2]
    assert all(one.seconds > 0.1 for one in processes)
    for one in processes:
        one.close()


def test_a_checkout_that_knows_of_no_turns_runs_from_start_to_end(tmp_path):
    file = tmp_path / "log"
    old = TRAINS.replace("        turns.next()", "        pass")
    processes = [process("a", 2, file), process("b", 2, file, old), process("c", 1, file)]
    alternate(processes)
    assert ran(file) == ["a0", "b0", "b1", "b2", "c0", "a1", "c1", "a2"]
    for one in processes:
        one.close()


def test_a_process_that_is_killed_in_its_turn_has_ended(tmp_path):
    file = tmp_path / "log"
    killed = TRAINS.replace("turns.next()", "__import__('os').kill(__import__('os').getpid(), 9)")
    processes = [process("a", 2, file), process("b", 2, file, killed)]
    alternate(processes)
    assert ran(file) == ["a0", "b0", "a1", "a2"]
    assert processes[1].child.status == -9
    for one in processes:
        one.close()


def test_a_process_that_is_killed_while_it_waits_has_ended(tmp_path):
    waiting = process("a", 3, tmp_path / "log")
    assert waiting.turn()
    waiting.child.kill()
    assert not waiting.turn()
    assert waiting.child.status == -9
    waiting.close()


def test_what_is_closed_early_is_killed_and_its_errors_can_be_read(tmp_path):
    talks = "import sys; print('said', file=sys.stderr); sys.exit(2)"
    with_errors = process("a", 1, tmp_path / "log", talks)
    assert not with_errors.turn()
    assert (with_errors.child.status, with_errors.child.failure()) == (2, "said")
    with_errors.close()
    waiting = process("b", 5, tmp_path / "log")
    assert waiting.turn()
    waiting.close()
    assert ran(tmp_path / "log") == ["b0"]


def test_alone_every_turn_is_its_own(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert descriptors() == ()
    turns = Turns()
    turns.next()
    assert turns.waited_seconds == 0


@pytest.mark.parametrize("gone_before", [True, False])
def test_who_gave_the_turns_may_go_away(monkeypatch, gone_before):
    go, give = os.pipe()
    take, done = os.pipe()
    monkeypatch.setenv(VARIABLE, f"{go},{done}")
    turns = Turns()
    os.close(give)
    if gone_before:
        os.close(take)
    start = time.perf_counter()
    turns.next()
    turns.next()
    assert 0 <= turns.waited_seconds <= time.perf_counter() - start
    for one in (go, done) if gone_before else (go, done, take):
        os.close(one)
