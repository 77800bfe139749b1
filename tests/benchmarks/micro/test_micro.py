"""The bare loops train the network that the harness trains; the contests and their command."""

import json
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

from benchmarks.micro import __main__ as command
from benchmarks.micro import gains
from benchmarks.micro.bare import flax
from benchmarks.micro.bare import torch as bare_torch
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
from benchmarks.process.environment import environment, limited_to
from benchmarks.system import machine
from frameworks import backend
from frameworks.backend import framework

SIZES = {"unam": 40, "c2": 46, "resnet18": 32, "efficientnet_like": 32}
SHUFFLING = "keras:fit"  # draws its batches: of a single batch it trains on the same
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
    variables = environment(name, device="cpu", threads=1, scratch=tmp_path)
    with limited_to(1):
        ended = subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(asked)],
            env=variables,
            cwd=machine.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


def mostly_slow(names, quick, extended=()):
    """Parameters of which all but some are for `pytest -m slow`: JAX compiles for a minute each."""
    slow = [pytest.mark.slow]
    marks = {name: [*slow, pytest.mark.extended] if name in extended else slow for name in names}
    return [name if name in quick else pytest.param(name, marks=marks[name]) for name in names]


def settings(name, architecture, **more):
    size = SIZES[architecture]
    same = {"framework": name, "architecture": architecture, "size": size, "batch_size": 8}
    return same | {"steps": 2, "threads": 1} | more


@pytest.mark.parametrize(
    "name", mostly_slow(command.FRAMEWORKS, quick=("torch",), extended=("jax", "keras"))
)
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

    np.testing.assert_allclose(flax.conv(x, kernel), plain(x, kernel), atol=1e-4)
    for ours, theirs in zip(slopes(flax.conv), slopes(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize("names", ["ab", "abc", "abcde"])
def test_frameworks_take_turns(names):
    """In every two turns each has the same mean place, and none is always the first of a pair."""
    orders = [turned(list(names), turn) for turn in range(2 * len(names))]
    for one, other in zip(orders[::2], orders[1::2], strict=True):
        assert one == other[::-1]
    assert {order[0] for order in orders[::2]} == set(names)


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
    blocks = {tuple(shuffled(names, one, block)) for block in range(6)}
    assert len(blocks) > 3, "every block has an order of its own"


def test_keras_fit_untouched_needs_an_epoch_of_some_length():
    short, long = (
        Contest(Settings(framework="keras", architecture="c2", size=46, batch_size=1, steps=steps))
        for steps in (FIT_STEPS - 1, FIT_STEPS)
    )
    assert "fit" not in short.names
    assert "--steps" in short.absent["fit"]
    assert "fit" in long.names
    assert "fit" not in long.absent


def test_contestants_can_be_left_out():
    common = {"framework": "torch", "batch_size": 1, "steps": 2}
    few = Contest(Settings(architecture="c2", size=46, without=("idiomatic", "tutorial"), **common))
    assert few.names == ["tuned", "again", "one_step", "epoch", "best", "peak", "copy"]
    assert set(few.absent) == {"idiomatic", "tutorial"}  # `fit` is none of PyTorch's


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory):
    """The file of a short run of PyTorch with an epoch of 41 images, each process on one CPU; both
    made ready side by side."""
    output = tmp_path_factory.mktemp("micro") / "micro.json"
    arguments = "--frameworks torch --architectures c2 --size 46 --batch-size 4 --steps 2"
    arguments += " --processes 2 --threads 1 --epoch-images 41 --together 2"
    assert command.main([*arguments.split(), "--output", str(output)]) == 0
    return json.loads(output.read_text())


def test_processes_take_turns_and_each_has_its_row(yardstick):
    assert [one["settings"]["turn"] for one in yardstick["contests"]] == [0, 1]
    assert all(
        len(times) == 2 for one in yardstick["contests"] for times in one["seconds"].values()
    )
    # the pace of steps this few may be lost in the noise of a process, and "epoch / steps" with it
    rows = [row for row in yardstick["ratios"] if row["quantity"] != "epoch / steps"]
    assert len(rows) == 8
    assert all(row["processes"] == 2 and row["is_range"] for row in rows)


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
    turns = []

    def run_inside(module, name, arguments, *, device, threads, tuning="tuned"):
        if "--tuned-alone" not in arguments:
            return {"choices": {"staged": "the data there"}, "seconds": dict(seconds)}
        turns.append(tuning)
        without = {1: 1.5, 2: 1.25}.get(turns.count("idiomatic"), 1.0)
        blocks = [1.0, 1.0, 9.0] if tuning == "tuned" else [without, without, 9.0]
        return {"choices": {}, "seconds": {"tuned": blocks}}

    monkeypatch.setattr(gains, "run_inside", run_inside)
    output = tmp_path / "gains.json"
    arguments = ["--frameworks", "torch", "--threads", "1", "--output", str(output)]
    assert gains.main([*arguments, "--pairs", "3"]) == 0
    out = capsys.readouterr().out
    assert "| torch | the data there | 2.00 | range of 3: 1.500 to 3.000 | 3 blocks |" in out
    assert "MALLOC_MMAP_MAX_=0" in out
    assert "| 1.25 | range of 3: 1.000 to 1.500 | 3 pairs of processes |" in out
    assert turns == ["tuned", "idiomatic", "idiomatic", "tuned", "idiomatic", "tuned"]
    content = json.loads(output.read_text())
    assert content["gains"][0]["is_range"]
    assert content["commit"] == machine.commit()[0]


def test_keras_without_tensorflow_is_timed_without_importing_it():
    for name in ("keras@torch", "keras@jax"):
        assert "tensorflow" not in framework(name).packages
        where = {place.partition(":")[0] for place in BARE[name].values()}
        for module in where:
            source = Path(machine.ROOT, "benchmarks", "micro", "bare", f"{module}.py").read_text()
            assert "import tensorflow" not in source


def test_the_bare_loops_import_no_harness_code():
    directory = os.path.join(machine.ROOT, "benchmarks", "micro", "bare")
    for name in ("torch", "flax", "keras", "keras_tensorflow"):
        with open(os.path.join(directory, f"{name}.py"), encoding="utf-8") as file:
            lines = [line for line in file if line.startswith(("import ", "from "))]
        foreign = [x for x in lines if x.split()[1].split(".")[0] in ("frameworks", "datasets")]
        ours = [x for x in lines if x.split()[1].startswith("benchmarks")]
        assert not foreign
        allowed = ("benchmarks.micro.bare.networks", "benchmarks.micro.bare.keras")
        assert all(x.split()[1] in allowed for x in ours)
