"""The bare loops train the network that the harness trains; ratios mean what they say."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import launch, machine
from benchmarks.micro import __main__ as command
from benchmarks.micro.ratios import median_with_interval, ratios

SIZES = {"unam": 40, "c2": 46}
SCRIPT = """
import json, sys
from benchmarks.micro.contest import Contest, Settings
found = {}
for name, size in json.loads(sys.argv[2]).items():
    settings = Settings(
        framework=sys.argv[1], architecture=name, size=size, batch_size=8, steps=2, threads=1
    )
    contest = Contest(settings, dropout=False)
    names = ("idiomatic", "tuned", "tutorial", "best")
    found[name] = {who: [float(call()) for _ in range(2)] for who in names
                   for call in [contest.call(who)]}
print(json.dumps(found))
"""


@pytest.mark.parametrize("framework", command.FRAMEWORKS)
def test_the_bare_loops_train_the_same_network(framework, tmp_path):
    environment = launch.environment(framework, device="cpu", threads=1, scratch=tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, framework, json.dumps(SIZES)],
        env=environment,
        cwd=machine.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    for name, losses in json.loads(ended.stdout.splitlines()[-1]).items():
        expected = losses.pop("idiomatic")
        assert expected[1] < expected[0], name  # it learns: a loop that does not train shows
        for who, found in losses.items():
            # the first two steps to rounding; Adam makes more of it in the next two
            assert found[0] == pytest.approx(expected[0], rel=1e-3), (name, who)
            assert found[1] == pytest.approx(expected[1], rel=0.2), (name, who)


def contest(**seconds):
    settings = {"framework": "torch", "architecture": "unam", "steps": 2, "batch_size": 4}
    return {"settings": settings, "seconds": seconds, "training_flops": 2048**3}


def test_ratios_are_of_speeds_block_by_block():
    one = contest(
        tutorial=[2.0, 4.0, 2.0],
        idiomatic=[1.0, 2.0, 1.0],
        best=[0.5, 1.0, 0.5],
        tuned=[1.0, 2.0, 1.0],
        epoch=[1.125, 2.25, 1.125],
        peak=[1.0, 0.5, 1.0],
    )
    found = {ratio.quantity: ratio for ratio in ratios([one])}
    assert found["idiomatic / bare tutorial"].median == 2.0
    assert found["tuned / best bare"].median == 0.5
    assert found["tuned / idiomatic"].median == 1.0
    # 4.5 steps at 0.25 s a step
    assert found["epoch / steps"].median == pytest.approx(1.0)
    # 8 images of 2048^3 in a second, of 4 times 2048^3 a second
    assert found["achieved / peak"].median == pytest.approx(2.0)
    assert found["tuned / best bare"].low == found["tuned / best bare"].high == 0.5


def test_the_peak_is_the_best_of_all_libraries():
    times = {name: [1.0] for name in ("tutorial", "idiomatic", "best", "tuned", "epoch")}
    pair = [contest(**times, peak=[1.0]), contest(**times, peak=[0.25])]
    achieved = [r.median for r in ratios(pair) if r.quantity == "achieved / peak"]
    assert achieved[0] == achieved[1] == pytest.approx(1.0)


def test_the_interval_spans_the_median_and_widens_with_spread():
    narrow = median_with_interval([1.0, 1.01, 0.99, 1.0, 1.02])
    wide = median_with_interval([1.0, 2.0, 0.5, 1.0, 3.0])
    assert narrow[1] <= narrow[0] <= narrow[2]
    assert wide[2] - wide[1] > narrow[2] - narrow[1]


def test_bad_input_is_a_message_and_status_2(capsys):
    assert command.main(["--blocks", "0"]) == 2
    assert "--blocks is 0" in capsys.readouterr().err


def test_the_bare_loops_import_no_harness_code():
    directory = os.path.join(machine.ROOT, "benchmarks", "micro")
    for name in ("bare_torch", "bare_flax", "bare_keras"):
        with open(os.path.join(directory, f"{name}.py"), encoding="utf-8") as file:
            lines = [line for line in file if line.startswith(("import ", "from "))]
        foreign = [x for x in lines if x.split()[1].split(".")[0] in ("frameworks", "datasets")]
        ours = [x for x in lines if x.split()[1].startswith("benchmarks")]
        assert not foreign
        assert all(x.split()[1] == "benchmarks.micro.networks" for x in ours)


def test_the_interval_is_reproducible():
    values = np.linspace(0.9, 1.1, 9).tolist()
    assert median_with_interval(values) == median_with_interval(values)
