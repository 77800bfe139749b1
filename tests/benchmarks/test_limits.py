"""The machine's limits: timing by a clock of its own, the parent, the samples, the command."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.limits import __main__ as command
from benchmarks.limits import collect as collecting
from benchmarks.limits.found import COPY, Limits, Sample
from benchmarks.limits.show import table
from benchmarks.limits.timing import FEWEST, SAMPLES, SIDES, sweep, timed
from benchmarks.system import machine


def sample(library: str, rate: float, what: str = "float32", size: int = 100) -> Sample:
    amount = 2.0 * size if what == COPY else 2.0 * size**3
    seconds = tuple(amount / rate * factor for factor in (1.0, 0.5, 2.0))
    return Sample(library=library, what=what, size=size, seconds=seconds)


def test_rates_by_hand() -> None:
    one = Sample(library="torch", what="float32", size=1000, seconds=(0.01, 0.02, 0.05))
    assert one.rate == pytest.approx(2e9 / 0.02)
    assert one.spread == pytest.approx((2e9 / 0.05, 2e9 / 0.01))
    copied = Sample(library="torch", what=COPY, size=10**9, seconds=(0.5,))
    assert copied.rate == pytest.approx(4e9), "read and written"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(1, 1e12)), min_size=1))
def test_the_best_of_the_libraries_is_the_limit(found: list[tuple[str, float]]) -> None:
    samples = tuple(sample(library, rate) for library, rate in found)
    limits = Limits(device="cpu", threads=2, samples=(*samples, sample("a", 7.0, COPY)))
    assert limits.peak("float32") == pytest.approx(max(rate for _, rate in found))
    by_library = {one.library: one.rate for one in limits.best_by_library("float32")}
    assert by_library == pytest.approx(
        {name: max(rate for other, rate in found if other == name) for name, _ in found}
    )
    assert limits.bandwidth == pytest.approx(7.0)
    assert limits.peak("bfloat16") is None
    assert set(limits.summary("float32")) == {"float32", COPY}


class Machine:
    """A clock, and an operation that moves it on."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.counts = seconds, 0.0, []

    def clock(self) -> float:
        return self.now

    def repeated(self, count: int) -> None:
        first = 5.0 if not self.counts else 0.0  # compiling
        self.counts.append(count)
        self.now += first + count * self.seconds


@pytest.mark.parametrize(
    ("seconds", "samples", "count"), [(0.01, SAMPLES, 5), (1.0, SAMPLES, 1), (10.0, FEWEST, 1)]
)
def test_a_sample_is_long_enough_and_compiling_is_none(seconds, samples, count) -> None:
    pretended = Machine(seconds)
    found = timed(pretended.repeated, pretended.clock)
    assert found == pytest.approx([seconds] * samples)
    assert pretended.counts[-samples:] == [count] * samples
    assert len(pretended.counts) > samples + 1, "not warmed up"


def test_what_is_slow_is_not_tried_at_a_larger_size(monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.limits.timing.timed", lambda made: [made])
    found = list(sweep("torch", lambda what, size: size / 512, ["float64"], "cpu"))  # type: ignore[arg-type, return-value]
    sides = [one.size for one in found if one.what == "float64"]
    assert sides == [512, 1024, 2048]
    assert SIDES["cpu"][-1] > 2048
    assert [one.what for one in found[3:]] == [COPY]


def test_a_library_that_cannot_measure_is_named_and_the_rest_go_on(monkeypatch) -> None:
    monkeypatch.setitem(collecting.LIBRARIES, "no_such_library", "torch")
    good = sample("torch", 5.0)

    def ask(module: str, arguments: list[str], *_: object, **__: object) -> tuple[list, str]:
        assert "tf32" not in arguments, "there is none on a CPU"
        return ([], "no backend") if arguments[0] == "jax" else ([good], "")

    monkeypatch.setattr(collecting, "ask", ask)
    told: list[str] = []
    limits = collecting.collect(
        ["float32", "tf32"],
        device="cpu",
        threads=1,
        libraries=["torch", "jax", "no_such_library"],
        tell=told.append,
    )
    assert [one.library for one in limits.samples] == ["torch"]
    assert limits.missing == {"jax": "no backend", "no_such_library": "not installed"}
    assert len(told) == 2
    assert "<- limit" in table(limits)
    assert "jax: no backend" in table(limits)


def test_the_library_of_another_interpreter_is_measured_by_that_interpreter(monkeypatch) -> None:
    """It counts for the limit, and is told apart from the library of that name here."""
    rates = {"": 5.0, "old/bin/python": 9.0}

    def ask(module: str, arguments: list[str], *_: object, python: str, **__: object) -> tuple:
        found = sample(arguments[0], rates[python])
        return ([], "no jax") if arguments[0] == "jax" else ([found], "")

    monkeypatch.setattr(collecting, "ask", ask)
    others = dict.fromkeys(["keras@torch@3.9", "jax@0.9"], "old/bin/python")
    limits = collecting.collect(
        ["float32"], device="cpu", threads=1, libraries=["torch"], interpreters=others
    )
    assert limits.peak("float32") == pytest.approx(9.0)
    assert [one.library for one in limits.samples] == ["torch", "torch of keras@torch@3.9"]
    assert limits.missing == {"jax of jax@0.9": "no jax"}
    assert collecting.library_of("keras") == "tensorflow"


@pytest.mark.slow
def test_every_library_measures_and_none_is_imported_here() -> None:
    limits = collecting.collect(["float32"], device="cpu", threads=1)
    assert {one.library for one in limits.samples} == set(collecting.LIBRARIES)
    assert limits.missing == {}
    assert limits.peak("float32") > 1e8
    assert limits.bandwidth > 1e8


def test_the_help_is_quick_and_bad_input_is_one_message(capsys) -> None:
    code = (
        "import sys, runpy; sys.argv = ['x', '--help']\ntry: runpy.run_module('benchmarks.limits')"
    )
    code += "\nexcept SystemExit: pass\nfrom benchmarks.limits.__main__ import main"
    code += "\nprint('LOADED', *sorted({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=machine.ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.partition("LOADED ")[2].split())
    assert not loaded & {"numpy", "torch", "jax", "tensorflow", "pandas"}
    assert command.main(["--threads", "100000"]) == 2
    assert "can be had here" in capsys.readouterr().err
