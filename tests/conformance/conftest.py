"""What every backend is asked to compute, collected once: one process per framework and precision.

To conform, a new backend is added to FRAMEWORKS (or named in CONFORMANCE_FRAMEWORKS, separated by
commas) and nothing else. A framework that is not installed fails; it is never skipped.
"""

import os

import pytest

from benchmarks.fidelity import plan
from benchmarks.fidelity.cases import heads, ladder, lifecycle, recipes
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import Traces, collect

FRAMEWORKS = os.environ.get(
    "CONFORMANCE_FRAMEWORKS", "keras,torch,jax,keras@torch,keras@jax"
).split(",")
# The networks of the papers; the deep ones have no layer that the lifecycles' small ones lack.
ARCHITECTURES = [
    *("alexnet", "astronn", "c1", "c1_bn", "c2", "c2_no_bn", "dieleman", "dieleman_bn", "lenet5"),
    "unam",
]
CLASSES = {"unam": (10, 4), "c2": (10, 4)}  # heads; of the other networks 10
# A seed whose batch has no unit within rounding of a kink, as `settled` finds it; else 0.
SEEDS = {"c2": 1, "alexnet": 7, "alexnet_valid": 2}
# Tens of millions of parameters: a smaller batch.
LARGE = {"alexnet": 4, "alexnet_valid": 4}
BOTH = ("float64", "float32")
SMALL = [name for name in ARCHITECTURES if name not in LARGE]
# The long ones of the lifecycles, staged and streamed; the others are `extended`.
LIVES = ("bait-life-adam-", "normed-life-adamw_hat-")
# In both precisions and trained by default: it has every kind of layer.
DEEP = (ladder.EVERYTHING,)
# In float32 by default. What is left of these and of the other networks is `extended`.
USUAL = ("unam", "c2")
# By default alone on Keras' other engines: an optimizer with two moments, and one with a velocity.
ALONE = ("small-alone-adam-", "small-alone-momentum-")


def options(name):
    """Seed and batch size of an architecture's cases."""
    return {"seed": SEEDS.get(str(name), 0), "batch_size": LARGE.get(str(name), 8)}


def batch_cases(names=(*ARCHITECTURES, ladder.EVERYTHING), precisions=BOTH, classes=None):
    """R0-R2; heads of 10, and of 4 for some, unless `classes` says which."""
    return [
        case
        for name in names
        for case in ladder.one_batch(
            [name], precisions, classes or CLASSES.get(str(name), (10,)), **options(name)
        )
    ]


def step_cases(names=(*SMALL, ladder.EVERYTHING)):
    """R4 in both precisions."""
    return [case for name in names for case in ladder.one_step([name], BOTH, **options(name))]


def default_cases():
    """What every test run measures: two networks in float32, every kind of layer all the way."""
    cases = batch_cases([*DEEP, *USUAL], ["float32"], (10,)) + batch_cases(DEEP, classes=(10,))
    cases += [*step_cases(DEEP), *life_cases(), *optimizer_cases(50)]
    return list({case.name: case for case in cases}.values())


def asked_by_default(framework, case):
    """True if every test run measures the case there. Keras' other engines are asked in float64,
    which tells a wrong formula. Their float32, and the words of layers, heads and functions and
    most optimizers, which are Keras' own on every engine, are `extended`."""
    words = case.name.endswith(("-words-10-float64", "-each-10-float64"))
    words |= "-alone-" in case.name and not case.name.startswith(ALONE)
    return "@" not in framework or (case.precision == "float64" and not words)


def deep_cases():
    """What is left of R0-R4 and of the trainings: with the above, all of it, but of the large
    networks R0-R2 of `alexnet` alone, in float32 with ten classes."""
    whole = [*batch_cases([*SMALL, ladder.EVERYTHING]), *step_cases(), *training_cases()]
    whole += batch_cases(["alexnet"], ["float32"], (10,))
    whole += [*lifecycle.lifecycles(), *optimizer_cases(), *recipes.lives(), *heads.heads()]
    measured = {case.name for case in default_cases()}
    return [case for case in whole if case.name not in measured]


def asked_in_depth(framework, case):
    """Whether a submission holds it there: of Keras' other engines R0-R2 in float64 of each
    network, and the trainings of every kind of layer. The rest of them is `slow`."""
    named = not case.name.startswith(tuple(f"{name}-" for name in ARCHITECTURES))
    batch = case.precision == "float64" and "-batch-" in case.name
    return plan.asked_of(framework, case) and ("@" not in framework or named or batch)


def training_cases(optimizers=tuple(ladder.DYADIC), names=("unam", "c2")):
    """Ten steps of optimizers in float64, through every kind of layer; of named networks: Adam.

    Lion goes through a network without batch norm: one takes out most of the bias of a channel
    that a ReLU leaves as it is, and the sign of such a gradient is rounding's.
    """
    through = [name for name in optimizers if name != "lion"]
    return [
        *ladder.trajectories([ladder.EVERYTHING], through, measure=("steps", "epoch")),
        *ladder.trajectories(names, ["adam"]),
        *ladder.trajectories(["unam"], {"lion"} & set(optimizers), measure=("steps", "epoch")),
    ]


def life_cases():
    """Trainings from their first call to their last: in float64 through every kind of layer and
    with class weights, in float32, and what needs pictures or weights of its own."""
    lives = [case for case in lifecycle.lifecycles() if case.name.startswith(LIVES)]
    return [*lives, *lifecycle.float32(), *lifecycle.special()]


def optimizer_cases(steps=200):
    """R3: every optimizer alone, in both precisions."""
    return ladder.optimizers_alone(("float64", "float32"), steps)


@pytest.fixture(scope="session")
def traces(tmp_path_factory) -> Traces:
    """Every framework's trace of every default case, and the reference's."""
    directory, found = tmp_path_factory.mktemp("conformance"), {}
    for engines in (False, True):
        names = [name for name in (REFERENCE, *FRAMEWORKS) if ("@" in name) == engines]
        cases = [case for case in default_cases() if asked_by_default("@" * engines, case)]
        if names:
            folder = directory / str(engines)
            found |= collect(names, cases, folder, parallel=2, asked_of=plan.asked_of)
    return found
