"""Programs as frameworks of the harness: they are trained there by their own steps."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.port import __main__ as port
from benchmarks.port import harness, pictures
from benchmarks.port.answer import Answer
from benchmarks.port.backend import ProgramBackend
from benchmarks.port.compare import Found
from benchmarks.port.operation import PICTURES, PortError
from benchmarks.port.operation import Recipe as PortRecipe
from benchmarks.port.options import parser
from benchmarks.port.programs import Source
from benchmarks.port.trained import Curve, Trained
from benchmarks.port.write import keys
from frameworks.backend import Runtime
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.layers import Flatten
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Recipe
from frameworks.spec.schedules import Exponential
from results.store import Store
from tests.benchmarks.port.conftest import PROGRAMS
from tests.benchmarks.port.test_write import conv, listing, operation
from tests.conftest import ROOT
from tests.helpers.small_networks import network


def named():
    """The listing of test_write with its weights at their operations."""
    found = listing()
    for place, weights in ((0, "ab"), (2, "c"), (7, "de")):
        found.operations[place].parameters = dict(zip(("kernel", "bias"), weights, strict=False))
    return found


def test_weights_of_the_network_go_by_the_programs_names() -> None:
    inside = {"residual1_conv1/kernel": "c"}
    outside = {"conv1/kernel": "a", "conv1/bias": "b", "dense1/kernel": "d", "dense1/bias": "e"}
    assert keys(named(), "net.py:Net") == outside | inside


def test_a_module_names_both_programs() -> None:
    def both(shared: str) -> dict[str, harness.One]:
        words = {"name": "make", "framework": "torch"}
        return {
            name: harness.One(
                Source(label=f"{name}.py:make", path=f"{name}.py", **words),
                named(),
                {k: k for k in kept},
            )
            for name, kept in (("A", "abcde"), ("B", shared))
        }

    text = harness.module(both("abcde"), "the command")
    made: dict = {}
    exec(text, made)
    assert list(made["B"].keys.values()) == list("abcde")
    assert made["A"].program["label"] == "A.py:make"
    with pytest.raises(PortError, match=r"B.py:make has no weight for A's c"):
        harness.module(both("abde"), "the command")


def test_averages_of_either_program_are_stated() -> None:
    around = {"average_weights": 0.9, "average_start": "first", "accumulation": 2}
    plain = {"kind": "sgd", "learning_rate": 0.1}
    programs = {
        name: harness.One(
            Source(label="n.py:N", path="n.py", name="N", framework="torch"),
            listing(recipe=PortRecipe(optimizer=plain | own)),
            {},
        )
        for name, own in (("A", {"accumulation": 2}), ("B", around))
    }
    text = harness.network(programs)
    assert 'average_weights = {decay = 0.9, start = "first"}' in text
    assert "accumulation" not in text  # the programs' own steps have it


def test_the_command_gives_masks_to_nobody_who_draws_them() -> None:
    programs = {name: harness.One(None, named(), {}) for name in "AB"}  # type: ignore[arg-type]
    options = parser().parse_args(["a.py:A", "b.py:B", "--train", "2", "--python", "-", "old"])
    line = " ".join(harness.command(Path("a_programs"), programs, options))
    assert line.startswith("--frameworks a_programs:A a_programs:B --arch")
    assert "--parity native" in line  # there is a dropout
    assert "--seeds 0 1 2 3 4 --store runs --epochs 2 --batch-size 6" in line
    assert line.endswith("--python a_programs:B=old")
    with pytest.raises(PortError, match="cannot be imported from here"):
        harness.command(Path("../a_programs"), programs, options)


@pytest.mark.parametrize(
    ("size", "runtime", "recipe", "message"),
    [
        ([9, 8, 3], {}, {}, r"takes pictures of \[9, 8, 3\]"),
        ([8, 8, 3], {"precision": "bfloat16"}, {}, "float32 or float64"),
        ([8, 8, 3], {}, {"schedule": Exponential(factor=0.9)}, "has its own schedule"),
    ],
)
def test_what_a_program_cannot_be_told_is_refused(size, runtime, recipe, message) -> None:
    one = type("One", (ProgramBackend,), {"program": {"label": "net.py:Net"}, "size": size})
    small = network(Flatten(), input_shape=(8, 8, 3))
    told = fill_recipe(Recipe(optimizer=SGD(), batch_size=4, **recipe))
    with pytest.raises(SpecificationError, match=message):
        one(small, told, Runtime(**runtime), None)


def test_pictures_are_scaled_once() -> None:
    raw = np.full((2, 8, 8, 3), 255, np.uint8)
    assert pictures.given(None, listing(), raw).max() == 1
    scale = operation(9, "rescale", [PICTURES], [8, 8, 3], scale=1 / 255, offset=0.0)
    own = listing(scale, conv(10, "9", 4, 8), output="10")
    assert pictures.given(None, own, raw).max() == 255
    assert pictures.given(lambda one: one / 510, own, raw).max() == 0.5


def test_the_verdict_says_how_the_training_ended() -> None:
    curve = Curve(losses=[2.0, 1.0], accuracies=[], seconds=1.0)
    words = {"command": "", "curves": (curve, curve), "outcome": [], "seeds": 5}
    trained = Trained(verdict="different", beyond=True, failed=["A, seed 1: oom"], **words)
    found = Found(status=0, verdict="equal to 0", trained=trained, **_EMPTY)
    answer = Answer(labels=("A", "B"), found=found)
    assert answer.status == 1
    assert (
        answer.verdict == "equal to 0; trained for 2 epochs with 5 seeds: different; 1 run failed"
    )
    trained.beyond, trained.failed = False, []
    assert (answer.status, answer.verdict[-31:]) == (0, "s: different, within the margin")
    found.trained, found.not_trained = None, "A has no loss"
    assert (answer.status, answer.verdict) == (0, "equal to 0; not trained: A has no loss")


_EMPTY = {
    **{key: [] for key in ("differences", "without", "rows", "unread", "notes")},
    **{"measured": {}, "mapping": {}, "stopped": "", "listings": (listing(), listing())},
}
CONTINUED = """
import numpy as np, sys
from benchmarks.port.opening import opened
from benchmarks.port.programs import source

program, _ = opened(source(sys.argv[1]), [12, 12, 3], seed=0, precision="float32")
steps, draw = program.own_steps(), np.random.default_rng(0)
pictures, labels = draw.random((4, 12, 12, 3), np.float32), draw.integers(0, 10, 4)
for _ in range(3):
    steps.step(pictures, labels)
weights, state, rate = program.weights(), steps.state(), steps.rate()
assert abs(rate - 0.05 * 0.8**0.3) < 1e-7, rate
there = [steps.step(pictures, labels)[0] for _ in range(2)]
program.load(weights)
steps.restore(state)
again = [steps.step(pictures, labels)[0] for _ in range(2)]
assert np.allclose(there, again, rtol=1e-5), (there, again)
"""


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize("name", ["own_keras.py:make", "own_torch.py:Net", "own_flax.py:Net"])
def test_own_steps_go_on_where_they_stood(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONTINUED, str(PROGRAMS / name)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


GROUPED = """
import json, numpy as np, sys
from benchmarks.port.opening import opened
from benchmarks.port.programs import named, source

one = source(sys.argv[1])
one.parts = {part: named(f"{one.path}:{name}") for part, name in json.loads(sys.argv[2]).items()}
program, _ = opened(one, [8, 8, 3], seed=0, precision="float64")
steps, draw = program.own_steps(), np.random.default_rng(0)
batches = [(draw.random((4, 8, 8, 3)), draw.integers(0, 5, 4)) for _ in range(6)]
assert not steps.put_averages()
after = [program.weights()]
for batch in batches[:3]:
    steps.step(*batch)
    after.append(program.weights())
kept = steps.state()
for batch in batches[3:]:
    steps.step(*batch)
    after.append(program.weights())
trained = sorted(program.listing.parameters.keys() - program.listing.fixed)
group = int(sys.argv[3])
for place in range(6):
    moved = any((after[place][key] != after[place + 1][key]).any() for key in trained)
    assert moved == ((place + 1) % group == 0), place
stepped = [np.concatenate([one[key].ravel() for key in trained]) for one in after[group::group]]
whole = 1.0 if "flax" not in sys.argv[1] else 0.0  # optax.ema begins at zero, and is divided
mean = stepped[0] * (whole or 0.05)
for one in stepped[1:]:
    mean = 0.95 * mean + 0.05 * one
mean /= whole or 1 - 0.95 ** len(stepped)

def found():
    return np.concatenate([program.weights()[key].ravel() for key in trained])

assert steps.put_averages()
assert np.allclose(found(), mean, rtol=1e-6)
program.load(after[3])
steps.restore(kept)
for batch in batches[3:]:
    steps.step(*batch)
assert np.allclose(found(), stepped[-1], rtol=1e-6)
assert steps.put_averages()
assert np.allclose(found(), mean, rtol=1e-6)
"""


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(
    ("name", "parts", "group"),
    [
        ("hunted_keras.py:plain", {"optimizer": "averaged"}, 1),
        (
            "hunted_torch.py:Net",
            {"optimizer": "lion", "accumulation": "two", "average_weights": "averages"},
            2,
        ),
        ("hunted_flax.py:Plain", {"optimizer": "lion", "average_weights": "averages"}, 2),
    ],
)
def test_own_steps_of_groups_and_averages_go_on(
    name: str, parts: dict, group: int, tmp_path: Path
) -> None:
    words = [str(PROGRAMS / name), json.dumps(parts), str(group)]
    command = [sys.executable, "-c", GROUPED, *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


SCALED = """
import numpy as np, sys
from benchmarks.port.opening import opened
from benchmarks.port.programs import named, source

one = source(sys.argv[1])
one.parts[sys.argv[2]] = named(f"{one.path}:huge")
program, _ = opened(one, [8, 8, 3], seed=0, precision="float32")
steps, draw = program.own_steps(), np.random.default_rng(0)
batch = draw.random((4, 8, 8, 3), np.float32) * 100, draw.integers(0, 5, 4)
after, losses = [program.weights()], []
for _ in range(12):
    losses.append(steps.step(*batch)[0])
    after.append(program.weights())
    state = steps.state()
moved = [any((x[k] != y[k]).any() for k in x) for x, y in zip(after, after[1:])]
assert not moved[0] and moved[-1], moved  # infinite at first: the scale halves, the weights stay
assert np.isfinite(losses).all() and losses[0] < 1000, losses
there = steps.step(*batch)[0], program.weights()
program.load(after[-1])
steps.restore(state)
again = steps.step(*batch)[0], program.weights()
assert there[0] == again[0] and all((there[1][k] == again[1][k]).all() for k in there[1])
"""


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hunted_keras.py:plain", "optimizer"),
        ("hunted_torch.py:Net", "loss_scale"),
        ("hunted_flax.py:Plain", "loss_scale"),
    ],
)
def test_own_steps_scale_the_loss(name: str, part: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCALED, str(PROGRAMS / name), part]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.extended
def test_both_train_in_the_harness_and_r6_says_how_they_end(tmp_path, monkeypatch, capfd) -> None:
    for name in ("own_keras.py", "own_torch.py", "alike.py"):
        text = (PROGRAMS / name).read_text()
        for lost in ("layers.Dropout(0.25),", ", nn.Dropout(0.25)", ", momentum=0.9)"):
            text = text.replace(lost, ")" if lost.endswith("9)") else "")  # their velocities differ
        (tmp_path / name).write_text(text.replace("0.05", "0.001"))  # rounding stays small
    monkeypatch.chdir(tmp_path)
    pair = ["own_keras.py:make", "own_torch.py:Net", "--train", "2", "--store", "rows"]
    assert port.main([*pair, "--json"]) == 0
    told = capfd.readouterr()
    found = json.loads(told.out)
    assert "; trained for 2 epochs with 5 seeds: " in found["verdict"]
    # only the running variance, unbiased in B, moves the cross-entropy a little
    assert found["trained"]["outcome"][0].startswith("Test accuracy of A less B: equal. Mean +0.00")
    assert "[10/10] own_keras_own_torch_programs:" in told.err
    a, b = found["trained"]["curves"]
    assert np.allclose(a["losses"], b["losses"], rtol=1e-5)
    rows, epochs = Store("rows").runs(), Store("rows").epochs()
    assert rows["self_checked"].all()
    rates = epochs[epochs["epoch"] == 2]["learning_rate"].to_numpy()
    assert np.allclose(rates, 0.001 * 0.8 ** (2 * 43 / 10), rtol=1e-5)  # of 256 pictures by six
