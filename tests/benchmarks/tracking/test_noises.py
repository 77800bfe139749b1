"""The selftest's noises: what is false in them is rare, and what is asked of each is printed."""

import numpy as np
import pytest

from benchmarks.track import main
from benchmarks.tracking.selftest import noises
from benchmarks.tracking.selftest.noises import DIFFERENCES, NOISES, Rate


@pytest.mark.parametrize("name", NOISES)
def test_a_noise_is_drawn_in_full_and_by_its_seed(name) -> None:
    draws = [NOISES[name](40, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert draws[0].shape == (40,)
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences_have_no_mean_and_one_deviation(name) -> None:
    drawn = DIFFERENCES[name](200_000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(0, abs=0.02)
    assert drawn.std() == pytest.approx(1, abs=0.1)


def test_autoregressive_noise_is_correlated_as_its_name_says() -> None:
    for name, share in (("autoregressive, 0.5", 0.5), ("autoregressive, 0.8", 0.8)):
        levels = NOISES[name](20_000, np.random.default_rng(0))
        assert np.corrcoef(levels[1:], levels[:-1])[0, 1] == pytest.approx(share, abs=0.03)
        assert levels.std() == pytest.approx(noises.SPREAD, rel=0.1)


def test_a_goal_is_missed_above_its_share_and_chance() -> None:
    assert Rate("q", "n", 10, 200, 0.05).met
    assert Rate("q", "n", 15, 200, 0.05).met, "as many by chance in 7 % of simulations"
    assert not Rate("q", "n", 17, 200, 0.05).met
    assert not Rate("q", "n", 1, 200, 0.0).met, "what must never be"
    assert Rate("q", "n", 200, 200).met, "without a goal"


def test_the_table_names_every_noise_and_the_worst(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")  # so wide that no column is left out
    monkeypatch.setattr(noises, "POINTS", (30,))
    status = main(["selftest", "--simulate", "2", "--noise", "all"])
    out = capsys.readouterr().out
    assert status in (0, 1)
    assert (status == 1) == ("missed: " in out)
    assert all(name in out for name in (*NOISES, *DIFFERENCES))
    questions = 1 + 1 + 10 + 1 + 2 + 3
    assert out.count("worst") == questions


@pytest.mark.slow
@pytest.mark.extended
def test_every_goal_is_met(capsys) -> None:
    assert noises.table(200, 12), capsys.readouterr().out
