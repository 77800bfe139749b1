"""The bare loops train the network that the harness trains; ratios mean what they say."""

import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from jax import lax

from benchmarks import launch, machine
from benchmarks.micro import __main__ as command
from benchmarks.micro import bare_flax, bare_torch, gains, inside
from benchmarks.micro.contest import (
    BARE,
    FIT_STEPS,
    Contest,
    Contestant,
    Settings,
    shuffled,
    turned,
)
from benchmarks.micro.process_wide import settings_now
from benchmarks.micro.ratios import left_out, median_interval, peaks, ratios
from frameworks import backend, recipe
from frameworks.architecture import load
from frameworks.backend import framework
from frameworks.defaults import fill_architecture
from frameworks.network import Network
from frameworks.roofline import least_seconds

SIZES = {"unam": 40, "c2": 46}
SHUFFLING = "bare_keras:fit"  # draws its batches: of a single batch it trains on the same
SCRIPT = """
import json, sys
from benchmarks.micro.contest import Contest, Settings
found = []
for asked, names in json.loads(sys.argv[1]):
    contest = Contest(Settings(**asked), dropout=False)
    calls = {name: contest.call(name) for name in names}
    found.append({name: [float(call()) for _ in range(2)] for name, call in calls.items()})
print(json.dumps(found))
"""


def losses(name, asked, tmp_path):
    """The losses of two calls by contestant, of each (settings, contestants), in one process."""
    environment = launch.environment(name, device="cpu", threads=1, scratch=tmp_path)
    with launch.limited_to(1):
        ended = subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(asked)],
            env=environment,
            cwd=machine.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


def mostly_slow(names, quick):
    """Parameters of which all but some are for `pytest -m slow`: JAX compiles for a minute each."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def settings(name, architecture, **more):
    size = SIZES[architecture]
    same = {"framework": name, "architecture": architecture, "size": size, "batch_size": 8}
    return same | {"steps": 2, "threads": 1} | more


@pytest.mark.parametrize("name", mostly_slow(command.FRAMEWORKS, quick=("torch", "jax", "keras")))
def test_the_bare_loops_train_the_same_network(name, tmp_path):
    drawing = [who for who, where in BARE[name].items() if where == SHUFFLING]
    fixed = [who for who in BARE[name] if who not in drawing]
    asked = [(settings(name, one), ["idiomatic", "tuned", *fixed]) for one in SIZES]
    if drawing:
        asked.append((settings(name, "c2", steps=1), ["idiomatic", *drawing]))
    for (what, _), found in zip(asked, losses(name, asked, tmp_path), strict=True):
        expected = found.pop("idiomatic")
        assert expected[1] < expected[0], what  # it learns: a loop that does not train shows
        assert found
        for who, loss in found.items():
            # the first steps to rounding; Adam makes more of it in the next
            assert loss[0] == pytest.approx(expected[0], rel=1e-3), (what, who)
            assert loss[1] == pytest.approx(expected[1], rel=0.2), (what, who)


@pytest.mark.parametrize("name", mostly_slow(("torch", "jax", "keras"), quick=("torch",)))
def test_the_precision_reaches_bare_loops_and_backends(name, tmp_path):
    names = ["idiomatic", "tutorial", "best"]
    asked = [
        (settings(name, "c2", steps=1, precision=precision), names)
        for precision in ("float32", "bfloat16")
    ]
    full, half = losses(name, asked, tmp_path)
    for who in names:
        assert half[who][0] == pytest.approx(full["idiomatic"][0], rel=3e-2), who
        assert abs(half[who][0] / full[who][0] - 1) > 1e-5, who  # float32's would be the same


def test_tf32_is_set_for_the_bare_loops_too():
    restore = settings_now()
    try:
        bare_torch.configure("tf32", search=True)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.backends.cudnn.conv.fp32_precision == "tf32"
        bare_torch.configure("float32", search=False)
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    finally:
        restore()


def test_each_contestant_runs_under_its_own_settings():
    restore = settings_now()
    seen = []

    def look():
        seen.append(torch.backends.cudnn.benchmark)
        return 0.0

    try:
        torch.backends.cudnn.benchmark = True
        tuned = Contestant(look, look)
        torch.backends.cudnn.benchmark = False
        idiomatic = Contestant(look, look)
        tuned(), idiomatic(), tuned(), idiomatic.warm_up(), tuned.warm_up()
    finally:
        restore()
    assert seen == [True, False, True, False, True]


def test_a_backend_compiles_under_its_own_settings(monkeypatch):
    """`call("epoch")` compiles the tuned backend after others have set what they need."""
    seen = []

    class Made:
        def __init__(self, tuning):
            self.tuning = tuning
            torch.backends.cudnn.benchmark = tuning == "tuned"

        def compile(self, epoch):
            seen.append((self.tuning, torch.backends.cudnn.benchmark))

    restore = settings_now()
    contest = Contest(Settings(framework="torch", architecture="c2", size=46, batch_size=2))
    monkeypatch.setattr(contest, "_new_backend", Made)
    try:
        for name in ("tuned", "idiomatic", "one_step", "epoch"):
            contest.call(name)
    finally:
        restore()
    assert seen == [("tuned", True), ("idiomatic", False), ("tuned", True), ("tuned", True)]


@pytest.mark.parametrize("channels", [3, 9])
def test_bare_jax_convolves_as_xla_does(channels):
    """Few channels, whose patches have all rows of the kernel, and more, whose patches have one."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2, 12, 11, channels)).astype(np.float32)
    kernel = generator.standard_normal((7, 7, channels, 4)).astype(np.float32)

    def plain(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def slopes(convolve):
        return jax.grad(lambda x, k: (convolve(x, k) ** 2).sum(), (0, 1))(x, kernel)

    np.testing.assert_allclose(bare_flax.conv(x, kernel), plain(x, kernel), atol=1e-4)
    for ours, theirs in zip(slopes(bare_flax.conv), slopes(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-2)


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
    assert found["idiomatic / bare tutorial"].median == 2.0
    assert found["tuned / best bare"].median == 0.5
    assert found["tuned / idiomatic"].median == 1.0
    # 8 images of 2048^3 in a second, of 4 times 2048^3 a second
    assert found["achieved / peak"].median == pytest.approx(2.0)
    assert found["tuned / best bare"].low == found["tuned / best bare"].high == 0.5
    assert "idiomatic / untouched fit" not in found


def test_the_epoch_is_set_against_the_tuned_backends_own_pace():
    """4.5 steps at a quarter of a second and half a second a call; the bare loop is as fast."""
    found = {ratio.quantity: ratio.interval.median for ratio in ratios([contest(**TIMES)])}
    assert found["epoch / steps"] == pytest.approx(1.625 / (4.5 * 0.25))
    assert found["epoch / bare steps"] == pytest.approx(1.625 / (4.5 * 0.25))
    slower = contest(**TIMES | {"best": [1.0, 2.0, 1.0]})
    found = {ratio.quantity: ratio.interval.median for ratio in ratios([slower])}
    assert found["epoch / steps"] == pytest.approx(1.625 / (4.5 * 0.25))
    assert found["epoch / bare steps"] == pytest.approx(1.625 / (4.5 * 0.5))


def test_precisions_and_batch_sizes_are_not_pooled_and_each_has_its_own_peak():
    several = [
        contest(**TIMES),
        contest(**TIMES | {"peak": [0.25]}, precision="bfloat16"),
        contest(**TIMES, batch_size=8),
    ]
    found = {
        (one.precision, one.batch_size): one.interval.median
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


def test_processes_that_are_ready_together_are_timed_one_at_a_time(tmp_path, monkeypatch):
    """Each writes when its block begins and ends; all are made ready before the first block."""
    module = tmp_path / "blocks.py"
    module.write_text(
        "import sys, time\n"
        "from benchmarks.turns import Turns\n"
        "name, log, target = sys.argv[1:]\n"
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
        "open(target, 'w').write(f'{{\"name\": \"{name}\"}}')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log = tmp_path / "log"
    jobs = [inside.Job(["blocks", name, str(log)], "torch") for name in "abc"]
    a, b, c = inside.run_together(jobs, device="cpu", threads=1, timeout=60)
    assert a == ({"name": "a"}, "")
    assert b == ({"name": "b"}, "")
    assert c == (None, "no luck")
    blocks = [f"{name}{block}{edge}" for block in (1, 2) for name in "abc" for edge in "<>"]
    assert log.read_text().split() == ["ready"] * 3 + blocks


def test_a_process_that_is_not_ready_in_time_is_put_among_the_late():
    class Late:
        def wait(self, timeout):
            assert timeout == 2
            raise TimeoutError

    class Ready:
        def wait(self, timeout):
            return True

    late, ready, missed = Late(), Ready(), set()
    assert inside._waited_for([late, ready], 2, missed) == [ready]
    assert missed == {late}


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
    assert found["idiomatic / untouched fit"].interval.median == 3.0
    assert found["idiomatic / bare tutorial"].interval.median == 2.0


def test_the_peak_is_the_best_of_all_libraries():
    pair = [contest(**TIMES | {"peak": [1.0]}), contest("jax", **TIMES | {"peak": [0.25]})]
    achieved = [r.interval.median for r in ratios(pair) if r.quantity == "achieved / peak"]
    assert achieved[0] == achieved[1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("count", "low", "high", "coverage"),
    [(2, 1, 2, 0.5), (3, 1, 3, 0.75), (5, 1, 5, 0.9375), (6, 1, 6, 0.96875), (9, 2, 8, 0.9609375)],
)
def test_the_interval_is_between_order_statistics_with_its_exact_coverage(
    count, low, high, coverage
):
    found = median_interval([float(value) for value in range(count, 0, -1)])
    assert (found.low, found.high) == (low, high)
    assert found.coverage == coverage
    assert found.is_range == (coverage < 0.95)
    assert found.median == (count + 1) / 2
    assert ("range" in found.words()) == found.is_range


def test_the_stated_coverage_is_what_simulation_finds():
    generator = np.random.default_rng(3)
    for count in (5, 6, 12):
        found = [median_interval(row) for row in generator.standard_normal((4000, count)).tolist()]
        held = np.mean([one.low <= 0 <= one.high for one in found])
        assert held == pytest.approx(found[0].coverage, abs=0.015)


def test_blocks_of_one_process_are_never_an_interval():
    found = median_interval([1.0] * 9 + [2.0], independent=False)
    assert (found.low, found.high) == (1.0, 2.0)
    assert found.is_range
    assert math.isnan(found.coverage)
    assert found.row()["coverage"] is None


def test_frameworks_take_turns():
    names = list("abc")
    assert [turned(names, turn) for turn in range(3)] == [
        ["a", "b", "c"],
        ["a", "c", "b"],
        ["c", "a", "b"],
    ]


def test_no_contestant_always_follows_the_same_one():
    names = ["idiomatic", "tuned", "again", "best", "peak"]
    before: dict[str, set[str]] = {name: set() for name in names}
    for turn in range(12):
        one = Settings(framework="torch", architecture="c2", turn=turn)
        order = shuffled(names, one, 0)
        assert sorted(order) == sorted(names)
        assert order == shuffled(names, one, 0)
        for first, second in pairwise(order):
            before[second].add(first)
    assert all(len(found) >= 3 for found in before.values())


def test_keras_fit_untouched_needs_an_epoch_of_some_length():
    short, long = (
        Contest(Settings(framework="keras", architecture="c2", size=46, batch_size=1, steps=steps))
        for steps in (FIT_STEPS - 1, FIT_STEPS)
    )
    assert "fit" not in short.names
    assert "--steps" in short.absent["fit"]
    assert "fit" in long.names
    assert "fit" not in long.absent


def test_the_same_again_shows_the_noise():
    found = {r.quantity: r for r in ratios([contest(**TIMES, again=[1.1, 2.2, 1.1])])}
    assert found["tuned / the same again"].interval.median == pytest.approx(1.1)


def test_each_library_has_its_peaks_over_processes():
    processes = [contest(**TIMES | {"peak": [1.0, fastest]}) for fastest in (0.5, 0.25, 0.125)]
    low, median, high = peaks(processes)["torch", "float32"]
    assert median == 2 * low == high / 2


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory):
    """The file of a short run of PyTorch with an epoch of 41 images, on one CPU."""
    output = tmp_path_factory.mktemp("micro") / "micro.json"
    arguments = "--frameworks torch --architectures c2 --size 46 --batch-size 4 --steps 2"
    arguments += " --processes 2 --threads 1 --epoch-images 41"
    assert command.main([*arguments.split(), "--output", str(output)]) == 0
    return json.loads(output.read_text())


def test_processes_take_turns_and_each_has_its_row(yardstick):
    assert [one["settings"]["turn"] for one in yardstick["contests"]] == [0, 1]
    assert all(
        len(times) == 2 for one in yardstick["contests"] for times in one["seconds"].values()
    )
    assert all(row["processes"] == 2 and row["is_range"] for row in yardstick["ratios"])


def test_a_contest_has_the_cpus_of_its_threads_alone(yardstick):
    assert [one["cpus"] for one in yardstick["contests"]] == [1, 1]


def test_the_epoch_has_the_images_asked_for(yardstick):
    assert yardstick["contests"][0]["epoch_images"] == 41


def test_the_file_says_where_it_comes_from(yardstick):
    commit, dirty = machine.commit()
    assert (yardstick["commit"], yardstick["dirty"]) == (commit, dirty)
    assert "--epoch-images 41" in yardstick["command"]
    assert yardstick["versions"]["torch"] == torch.__version__
    assert yardstick["machine"]["cpu"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--steps 1", "--steps is 1; must be at least 2"),
        ("--batch-size 1", "--batch-size is 1"),
        ("--epoch-images 5", "--epoch-images is 5; must be at least a batch of 64"),
        ("--precision tf32 --threads 1", "there is no TF32 on a CPU"),
    ],
)
def test_bad_input_is_a_message_and_status_2(arguments, told, capsys):
    assert command.main(arguments.split()) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--blocks", "--processes", "--threads"])
def test_a_number_below_one_is_named_with_its_option(option, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main([option, "0"])
    assert ended.value.code == 2
    assert f"argument {option}: '0' is not a whole number, 1 or more" in capsys.readouterr().err


def test_a_framework_that_is_not_installed_is_a_message(monkeypatch, capsys):
    def missing(self):
        return ["tensorflow"] if self.name == "keras" else []

    monkeypatch.setattr(backend.Framework, "missing_packages", missing)
    assert command.main(["--threads", "1"]) == 2
    told = capsys.readouterr().err
    assert "keras needs tensorflow" in told
    assert "--frameworks" in told


def test_single_steps_are_timed_on_the_cpus_of_their_threads(tmp_path):
    output = tmp_path / "steps.json"
    variables = {"MICRO_FRAMEWORK": "torch", "MICRO_THREADS": "1", "MICRO_BATCH_SIZE": "2"}
    # beside pytest-xdist nothing is timed, and this is a pytest of its own
    own = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-n0", "-q", "benchmarks/micro/test_step.py"),
            *("-k", "evaluation and c2 and idiomatic", f"--benchmark-json={output}"),
        ],
        env=own | variables,
        cwd=machine.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:]
    (found,) = json.loads(output.read_text())["benchmarks"]
    assert found["extra_info"]["cpus"] == 1


def test_a_gain_is_a_range_over_the_blocks_of_one_process(monkeypatch, capsys, tmp_path):
    seconds = {"tuned": [1.0, 1.0, 1.0], "staged": [1.5, 2.0, 3.0]}

    def run_inside(module, name, arguments, *, device, threads, tuning="tuned"):
        if tuning == "idiomatic":
            assert "--tuned-alone" in arguments
            return {"choices": {}, "seconds": {"tuned": [1.5, 1.25, 1.0]}}
        return {"choices": {"staged": "the data there"}, "seconds": dict(seconds)}

    monkeypatch.setattr(gains, "run_inside", run_inside)
    output = tmp_path / "gains.json"
    arguments = ["--frameworks", "torch", "--threads", "1", "--output", str(output)]
    assert gains.main(arguments) == 0
    out = capsys.readouterr().out
    assert "| torch | the data there | 2.00 | range 1.500 to 3.000 of 3 blocks |" in out
    assert "MALLOC_MMAP_MAX_=0" in out
    assert "(another process) | 1.25 | range 1.000 to 1.500 of 3 blocks |" in out
    content = json.loads(output.read_text())
    assert content["gains"][0]["is_range"]
    assert content["commit"] == machine.commit()[0]


def test_keras_without_tensorflow_is_timed_without_importing_it():
    for name in ("keras@torch", "keras@jax"):
        assert "tensorflow" not in framework(name).packages
        where = {place.partition(":")[0] for place in BARE[name].values()}
        for module in where:
            source = Path(machine.ROOT, "benchmarks", "micro", f"{module}.py").read_text()
            assert "import tensorflow" not in source


def test_the_bare_loops_import_no_harness_code():
    directory = os.path.join(machine.ROOT, "benchmarks", "micro")
    for name in ("bare_torch", "bare_flax", "bare_keras", "bare_keras_tensorflow"):
        with open(os.path.join(directory, f"{name}.py"), encoding="utf-8") as file:
            lines = [line for line in file if line.startswith(("import ", "from "))]
        foreign = [x for x in lines if x.split()[1].split(".")[0] in ("frameworks", "datasets")]
        ours = [x for x in lines if x.split()[1].startswith("benchmarks")]
        assert not foreign
        allowed = ("benchmarks.micro.networks", "benchmarks.micro.bare_keras")
        assert all(x.split()[1] in allowed for x in ours)
