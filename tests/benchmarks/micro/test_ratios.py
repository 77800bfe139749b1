"""From the seconds of many processes to ratios with their spread; and how they take turns."""

import math

import pytest

from benchmarks.micro import inside
from benchmarks.micro.ratios import left_out, noise, peaks, ratios
from frameworks.spec import recipe
from frameworks.spec.architecture import load
from frameworks.spec.defaults import fill_architecture
from frameworks.spec.network import Network
from frameworks.spec.roofline import least_seconds


def contest(name="torch", absent=None, precision="float32", batch_size=4, **seconds):
    settings = {"framework": name, "architecture": "unam", "size": 69, "precision": precision}
    return {
        "settings": settings | {"steps": 2, "batch_size": batch_size},
        "seconds": {who: list(times) for who, times in seconds.items()},
        "absent": absent or {},
        "epoch_images": 18,
        "training_flops": 2048**3,
        "peak_flops": 2 * 2048**3,
        "copied_bytes": 2 * 2**28,
    }


TIMES = {
    "tutorial": [2.0, 4.0, 2.0],
    "idiomatic": [1.0, 2.0, 1.0],
    "best": [0.5, 1.0, 0.5],
    "tuned": [1.0, 2.0, 1.0],
    "one_step": [0.75, 0.8, 0.75],  # half a second a call, a quarter a step
    "epoch": [1.625, 1.625, 1.625],
    "peak": [1.0, 0.5, 1.0],
    "copy": [2.0, 1.0, 2.0],
}


def test_ratios_are_of_speeds_block_by_block():
    found = {ratio.quantity: ratio.interval for ratio in ratios([contest(**TIMES)])}
    assert found["idiomatic / bare tutorial"].value == 2.0
    assert found["tuned / best bare"].value == 0.5
    assert found["tuned / idiomatic"].value == 1.0
    # 8 images of 2048^3 in a second, of 4 times 2048^3 a second
    assert found["achieved / peak"].value == pytest.approx(2.0)
    assert found["tuned / best bare"].low == found["tuned / best bare"].high == 0.5
    assert "idiomatic / untouched fit" not in found


def test_the_epoch_is_set_against_the_tuned_backends_own_pace():
    """4.5 steps at a quarter of a second and half a second a call; the bare loop is as fast."""
    found = {ratio.quantity: ratio.interval.value for ratio in ratios([contest(**TIMES)])}
    assert found["epoch / steps"] == pytest.approx(1.625 / (4.5 * 0.25))
    assert found["epoch / bare steps"] == pytest.approx(1.625 / (4.5 * 0.25))
    slower = contest(**TIMES | {"best": [1.0, 2.0, 1.0]})
    found = {ratio.quantity: ratio.interval.value for ratio in ratios([slower])}
    assert found["epoch / steps"] == pytest.approx(1.625 / (4.5 * 0.25))
    assert found["epoch / bare steps"] == pytest.approx(1.625 / (4.5 * 0.5))


def test_precisions_and_batch_sizes_are_not_pooled_and_each_has_its_own_peak():
    several = [
        contest(**TIMES),
        contest(**TIMES | {"peak": [0.25]}, precision="bfloat16"),
        contest(**TIMES, batch_size=8),
    ]
    found = {
        (one.precision, one.batch_size): one.interval.value
        for one in ratios(several)
        if one.quantity == "achieved / peak"
    }
    assert found["float32", 4] == pytest.approx(2.0)
    assert found["bfloat16", 4] == pytest.approx(1.0)
    assert found["float32", 8] == pytest.approx(4.0)


def test_the_roofline_share_is_the_least_time_over_the_tuned_backends():
    """The peak is 4 * 2048^3 a second, the copy 2 * 2^28 bytes."""
    (share,) = [r.interval for r in ratios([contest(**TIMES)]) if r.quantity == "roofline share"]
    network = Network(fill_architecture(load("unam")), (69, 69, 3), 10)
    limits = {"flops_per_second": 4 * 2048**3, "bytes_per_second": 2 * 2**28}
    least = least_seconds(network, 4, recipe.Adam(), "float32", **limits)
    assert share.high == pytest.approx(2 * least / 1.0)
    assert share.low == pytest.approx(2 * least / 2.0)


def test_a_pace_lost_in_the_noise_is_left_out():
    found = [ratio.quantity for ratio in ratios([contest(**TIMES | {"one_step": [1.0, 2.0, 1.5]})])]
    assert "epoch / steps" not in found
    assert "epoch / bare steps" in found


def test_the_interval_is_over_processes_and_one_value_each():
    processes = [
        contest(**TIMES | {"tuned": [1.0 * factor, 50.0, 1.0 * factor]})
        for factor in (1.0, 1.1, 0.9, 1.2, 0.8, 1.3)
    ]
    by_name = {ratio.quantity: ratio for ratio in ratios(processes)}
    one = by_name["tuned / idiomatic"]
    assert one.processes == 6
    assert one.values == pytest.approx([1 / f for f in (1.0, 1.1, 0.9, 1.2, 0.8, 1.3)])
    assert one.interval.low == pytest.approx(1 / 1.3)
    assert one.interval.high == pytest.approx(1 / 0.8)
    assert not one.interval.is_range
    assert one.row()["coverage"] == pytest.approx(0.96875)


def test_what_a_contestant_lacks_for_is_left_out_with_the_reason():
    times = {who: values for who, values in TIMES.items() if who != "best"}
    whole = contest("torch", **TIMES)
    lacking = contest("keras@torch", {"best": "none written"}, **times)
    names = [r.quantity for r in ratios([whole, lacking]) if r.framework == "keras@torch"]
    assert "idiomatic / bare tutorial" in names
    assert not [name for name in names if "bare" in name.replace("bare tutorial", "")]
    told = left_out([whole, lacking, lacking])
    assert {row["quantity"] for row in told} == {
        "tuned / best bare",
        "epoch / bare steps",
        "best bare achieved / peak",
    }
    assert len(told) == 3
    assert all(r["framework"] == "keras@torch" and r["reason"] == "none written" for r in told)


def test_untouched_fit_is_a_row_of_its_own():
    found = {r.quantity: r for r in ratios([contest("keras", **TIMES, fit=[3.0, 6.0, 3.0])])}
    assert found["idiomatic / untouched fit"].interval.value == 3.0
    assert found["idiomatic / bare tutorial"].interval.value == 2.0


@pytest.mark.parametrize("order", [1, -1])
def test_the_peak_is_the_best_of_all_libraries(order):
    pair = [contest(**TIMES | {"peak": [1.0]}), contest("jax", **TIMES | {"peak": [0.25]})]
    achieved = [r.interval.value for r in ratios(pair[::order]) if r.quantity == "achieved / peak"]
    assert achieved[0] == achieved[1] == pytest.approx(1.0)


def test_the_same_again_shows_the_noise():
    found = {r.quantity: r for r in ratios([contest(**TIMES, again=[1.1, 2.2, 1.1])])}
    assert found["tuned / the same again"].interval.value == pytest.approx(1.1)
    assert noise(list(found.values())) == {("torch", "unam", "float32", 4): math.inf}
    three = [contest(**TIMES, again=[1.0 * f, 2.0 * f, 1.0 * f]) for f in (1.1, 1.0, 0.9)]
    assert noise(ratios(three))["torch", "unam", "float32", 4] == pytest.approx(1 / 0.9 - 1)


def test_each_library_has_its_peaks_over_processes():
    processes = [contest(**TIMES | {"peak": [1.0, fastest]}) for fastest in (0.5, 0.25, 0.125)]
    low, median, high = peaks(processes)["torch", "float32"]
    assert median == 2 * low == high / 2


def test_processes_that_are_ready_together_are_timed_one_at_a_time(tmp_path, monkeypatch):
    """Each writes when its block begins and ends; all are made ready before the first block."""
    module = tmp_path / "blocks.py"
    module.write_text(
        "import sys, time\n"
        "from benchmarks.process.channel import Channel\n"
        "from benchmarks.process.turns import Turns\n"
        "name, log = sys.argv[1:]\n"
        "def tell(what):\n"
        "    with open(log, 'a') as file: file.write(f'{what} ')\n"
        "turns = Turns()\n"
        "tell('ready')\n"
        "turns.next()\n"
        "for block in (1, 2):\n"
        "    if block > 1: turns.next()\n"
        "    tell(f'{name}{block}<')\n"
        "    time.sleep(0.05)\n"
        "    tell(f'{name}{block}>')\n"
        "if name == 'c': sys.exit('no luck')\n"
        "if name == 'd': sys.exit()\n"
        "Channel().send('facts', values={'name': name})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log = tmp_path / "log"
    jobs = [inside.Job(["blocks", name, str(log)], "torch") for name in "abcd"]
    a, b, c, d = inside.run_together(jobs, device="cpu", threads=1, timeout=60)
    assert a == ({"name": "a"}, "")
    assert b == ({"name": "b"}, "")
    assert c == (None, "no luck")
    assert d == (None, "it told no result")
    blocks = [f"{name}{block}{edge}" for block in (1, 2) for name in "abcd" for edge in "<>"]
    assert log.read_text().split() == ["ready"] * 4 + blocks


def test_a_process_that_is_not_ready_in_time_is_killed(tmp_path, monkeypatch):
    (tmp_path / "hangs.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    jobs = [inside.Job(["hangs"], "torch")]
    ((found, reason),) = inside.run_together(jobs, device="cpu", threads=1, timeout=1)
    assert found is None
    assert reason.startswith("not done after 1 s")


@pytest.mark.parametrize("order", [1, -1])
def test_no_other_ratio_is_taken_for_noise(order):
    again = [contest(**TIMES | {"again": [1.1, 2.2, 1.1]}) for _ in range(2)]
    found = ratios(again)[::order]
    assert noise(found)["torch", "unam", "float32", 4] == pytest.approx(0.1)
