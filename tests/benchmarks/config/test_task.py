"""What is run has one id: every field of a configuration is in it, or is named as left out."""

import json
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.config.plan import PlannedRun
from benchmarks.config.runconfig import DataView, RunConfig, SplitSettings, identity
from benchmarks.config.suite import Suite
from datasets.drawn.settings import Augment
from frameworks.spec import defaults
from frameworks.spec.architecture import LAYER_TYPES, Architecture, BatchNorm
from frameworks.spec.clipping import CLIPPINGS
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.losses import LOSSES
from frameworks.spec.recipe import CALLBACKS, OPTIMIZERS, SGD, TABLES, Recipe
from frameworks.spec.rounds import Round
from frameworks.spec.sampling import Sampling
from frameworks.spec.schedules import SCHEDULES, WarmUp
from results.task import _NEVER_NATIVE, ABSENT, NOT_THE_TASK, stored, task_id
from tests.helpers.planning import FRAMEWORKS, SIZES, VIEW, one, plan

# Not in a task, with the reason.
LEFT_OUT = {
    "framework": "who runs it",
    "seed": "which run of a cell it is",
    "repeat": "which run of a cell it is",
    "nudge_draw": "moves the weights of a repeat, a control of rounding",
    "control": "the same run once more, a control of noise",
}
# Titles and sources are stripped before a run is planned (test_plan.py).
STRIPPED = {"title", "source", "published"}
# With a default, and in every configuration that was ever stored.
ALWAYS_WRITTEN = {
    RunConfig: {"parity", "tuning", "precision"},
    DataView: {"image_key", "label_key"},
    SplitSettings: set(),
    Recipe: {"optimizer", "batch_size", "epochs"},
}
ALWAYS_WRITTEN |= {
    kind: {"learning_rate", "beta_1", "beta_2", "momentum", "nesterov"}
    for kind in OPTIMIZERS.values()
}
ALWAYS_WRITTEN |= {
    kind: {"monitor", "min_delta", "patience", "restore_best"} for kind in CALLBACKS.values()
}
# stored runs have no loss at all; the fields of the others are in every configuration with one
ALWAYS_WRITTEN[Recipe] |= {"loss"}
ALWAYS_WRITTEN |= {kind: {"targets", "outputs"} for kind in LOSSES.values()}
ONCE_FOR_ALL = {"recipe.class_weight_mean"}  # filled in since; all runs before it did so
for _kind in (
    *SCHEDULES.values(),
    *CLIPPINGS.values(),
    WarmUp,
    Sampling,
):  # as they are on their first day
    ALWAYS_WRITTEN[_kind] = {field.name for field in msgspec.structs.fields(_kind)}
# Its defaults are never written.
ALWAYS_WRITTEN[Augment] = {field.name for field in msgspec.structs.fields(Augment)}
ALWAYS_WRITTEN[CALLBACKS["reduce_on_plateau"]] |= {"factor", "cooldown", "min_learning_rate"}
ALWAYS_WRITTEN[CALLBACKS["stop_when_worse"]] |= {"epochs", "first_epoch"}
NEEDED: dict[str, Any] = {"filters": 4, "kernel": 3, "units": 5, "size": 2, "rate": 0.5}
NEEDED["score"] = 0.5
NEEDED |= {"function": "relu", "groups": 2, "mean": (0.5,), "deviation": (0.25,)}
NEEDED |= {"length": 3, "limit": 1.0, "every": 2, "at": (3,), "factor": 0.5}  # of a recipe's parts
NEEDED["layers"] = (BatchNorm(name="norm"),)
NEEDED["branches"] = ((), NEEDED["layers"])
SOME = {Augment: Augment(flip="both"), LossScale: LossScale(initial=2.0)}  # stating nothing is none
PARTS: dict[str, type[msgspec.Struct]] = {
    "": RunConfig,
    "data": DataView,
    "split": SplitSettings,
    "recipe": Recipe,
    "architecture": Architecture,
    **{f"optimizer {name}": kind for name, kind in OPTIMIZERS.items()},
    **{f"loss {name}": kind for name, kind in LOSSES.items()},
    **{f"layer {name}": kind for name, kind in LAYER_TYPES.items()},
    **{f"schedule {name}": kind for name, kind in SCHEDULES.items()},
    **{f"clipping {name}": kind for name, kind in CLIPPINGS.items()},
    "warm_up": WarmUp,
    **{f"callback {name}": kind for name, kind in TABLES.items()},
}


@cache
def planned() -> RunConfig:
    """The run that is changed."""
    return one()


def part(name: str) -> msgspec.Struct:
    """The part of a run's configuration that is changed."""
    config = planned()
    if not name:
        return config
    if name == "recipe":
        changes: dict[str, Any] = {"class_weights": (1.0, 3.0), "class_weight_mean": "images"}
        changes["frozen"] = ("conv1",)  # without one frozen_norm says nothing
        return msgspec.structs.replace(config.recipe, **changes)
    if name in config.__struct_fields__:
        return getattr(config, name)
    kind = PARTS[name]
    fields = msgspec.structs.fields(kind)
    needed = {field.name: NEEDED[field.name] for field in fields if field.required}
    if name == "optimizer sgd":
        needed["momentum"] = 0.9  # without one there is no nesterov
    if name in ("optimizer sgd", "optimizer adam"):
        needed["weight_decay"] = 0.5  # without one nothing is decayed
    if kind is Augment:
        # one that draws nothing is refused, and so is a field without the one that it is of
        needed |= {"flip": "horizontal", "area": (0.1, 0.2), "erase": 0.5, "perspective": 0.5}
    made = kind(**needed)
    filled = name.startswith(("optimizer", "schedule", "clipping"))
    return defaults.stated(made) if filled else made


def with_part(name: str, changed: Any, parity: str = "matched") -> PlannedRun:
    """A planned run with this part in place of its own."""
    config, given = msgspec.structs.replace(planned(), parity=parity), None
    kind, _, which = name.partition(" ")
    if not name:
        config = changed
    elif kind == "optimizer":
        given = msgspec.structs.replace(config.recipe, optimizer=changed)
        config = msgspec.structs.replace(config, recipe=given)
    elif kind in ("schedule", "clipping", "warm_up", "loss"):
        given = msgspec.structs.replace(config.recipe, **{kind: changed})
        config = msgspec.structs.replace(config, recipe=given)
    elif kind == "callback":
        recipe = msgspec.structs.replace(config.recipe, **{which: changed})
        config = msgspec.structs.replace(config, recipe=recipe)
    elif kind == "layer":
        layers = (changed, *config.architecture.layers)
        architecture = Architecture(name="changed", layers=layers)
        config = msgspec.structs.replace(config, architecture=architecture)
    else:
        config = msgspec.structs.replace(config, **{name: changed})
    return PlannedRun(config, SIZES, config.architecture.sha256(), asked=given)


def other(value: Any, annotation: Any) -> Any:
    """A value of the type that is another one."""
    kinds = get_args(annotation) if is_union(annotation) else (annotation,)
    for kind in kinds:
        for found in candidates(value, kind):
            if found != value:
                return found
    raise AssertionError(f"no other value than {value!r} of {annotation}: say one in candidates()")


def is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def candidates(value: Any, kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif kind is bool:
        yield not value
    elif kind is int:
        yield (value if isinstance(value, int) else 0) + 3
    elif kind is float:
        above = isinstance(value, float) and value > 1  # of which some may not be less
        yield value + 0.25 if above else 0.25 if value != 0.25 else 0.5
    elif kind is str:
        yield f"{value}x"
    elif get_origin(kind) is tuple and get_args(kind) == (float, ...):
        yield (1.0, 2.0)
    elif kind == dict[str, float]:
        yield {"dense1": 0.5}
    elif kind == tuple[Round, ...]:
        yield (Round(after=1),)
    elif kind == tuple[int, ...]:
        yield (*value, 17)
    elif kind == tuple[float, float]:
        yield (0.5, 0.75)
    elif get_origin(kind) is tuple and value:
        yield value[1:]
    elif get_origin(kind) is tuple and Ellipsis in get_args(kind) and kind != tuple[float, ...]:
        yield NEEDED["layers"]
    elif kind in SOME and value is None:
        yield SOME[kind]
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        if isinstance(value, kind):
            name = fields[0].name
            hints = get_type_hints(kind)
            yield msgspec.structs.replace(value, **{name: other(getattr(value, name), hints[name])})
        else:
            yield kind(**{field.name: NEEDED[field.name] for field in fields if field.required})


FIELDS = [
    (name, field.name)
    for name, kind in PARTS.items()
    for field in msgspec.structs.fields(kind)
    if field.name not in STRIPPED
]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_every_field_is_of_the_task_or_is_left_out_for_a_reason(name: str, field: str) -> None:
    before = part(name)
    value = other(getattr(before, field), get_type_hints(type(before))[field])
    changed = with_part(name, msgspec.structs.replace(before, **{field: value}))
    same = changed.task_id == with_part(name, before).task_id
    assert same == (not name and field in LEFT_OUT)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name, field in FIELDS
        if name.partition(" ")[0] in ("optimizer", "layer", "callback", "loss")
        # a layer's name is no part of `architecture_hash`
        and (name.partition(" ")[0], field) != ("layer", "name")
    ],
)
def test_under_native_parity_too_as_far_as_it_was_stated(name: str, field: str) -> None:
    before = part(name)
    value = other(getattr(before, field), get_type_hints(type(before))[field])
    changed = with_part(name, msgspec.structs.replace(before, **{field: value}), "native")
    assert changed.task_id != with_part(name, before, "native").task_id


def test_of_an_optimizer_the_fields_without_a_default_of_a_framework_s_own_are_named() -> None:
    fields = {
        f"{name}.{field.name}"
        for name, kind in OPTIMIZERS.items()
        for field in msgspec.structs.fields(kind)
    }
    never = {field.partition(".")[2] for field in fields - set(defaults.PROJECT)}
    # of no optimizer that was stored without a task
    never -= {"weight_decay", "decayed", "amsgrad", "centered"}
    # the rate could not be left open when runs were stored without a task
    assert never | {"name", "learning_rate"} == _NEVER_NATIVE


def test_a_rate_left_open_under_native_parity_is_one_task_and_each_framework_s_own() -> None:
    runs = plan(Suite(frameworks=FRAMEWORKS, parity=("native",), optimizer=SGD()))
    rates = {run.config.framework: run.config.recipe.optimizer.rate for run in runs}
    assert rates == {name: 0.001 if name == "torch" else 0.01 for name in FRAMEWORKS}
    assert len({run.task_id for run in runs}) == 1
    stated = plan(Suite(frameworks=FRAMEWORKS, parity=("native",), optimizer=SGD(learning_rate=1)))
    assert {run.config.recipe.optimizer.rate for run in stated} == {1}
    assert not {run.task_id for run in stated} & {run.task_id for run in runs}


# Adamax and Lion joined when the rate could be left open already
@pytest.mark.parametrize(
    "kind", [kind for name, kind in OPTIMIZERS.items() if name not in ("adamax", "lion")]
)
def test_a_rate_that_was_a_default_keeps_the_hash_of_stored_runs(kind) -> None:
    recipe = defaults.fill_recipe(Recipe(optimizer=kind()))
    assert "learning_rate" not in identity(recipe.optimizer)
    changed = msgspec.structs.replace(recipe.optimizer, learning_rate=0.125)
    assert identity(changed)["learning_rate"] == 0.125


def test_the_rate_of_optimizers_that_all_default_alike_is_one_task_stated_or_left_open() -> None:
    for rate in (None, 1e-3):
        optimizer = OPTIMIZERS["adam"](learning_rate=rate)
        runs = plan(Suite(frameworks=("torch",), parity=("native",), optimizer=optimizer))
        assert {run.task_id for run in runs} == {
            run.task_id for run in plan(Suite(frameworks=("torch",), parity=("native",)))
        }


def test_class_weights_under_native_parity_are_one_task_and_each_framework_s_own_mean() -> None:
    suite = Suite(frameworks=FRAMEWORKS, parity=("native",), class_weights=[1.0] * 10)
    runs = plan(suite)
    means = {run.config.framework: run.config.recipe.class_weight_mean for run in runs}
    assert means == {name: "weights" if name == "torch" else "images" for name in FRAMEWORKS}
    assert len({run.task_id for run in runs}) == 1
    stated = plan(msgspec.structs.replace(suite, class_weight_mean="images"))
    assert {run.config.recipe.class_weight_mean for run in stated} == {"images"}
    assert not {run.task_id for run in stated} & {run.task_id for run in runs}


def test_a_mean_over_the_images_keeps_hash_and_task_of_stored_runs() -> None:
    """A run stored before it could be stated divided by the images, also under native parity."""
    for parity in ("matched", "native"):
        suite = Suite(frameworks=("torch",), parity=(parity,), class_weights=[2.0] * 10)
        (run,) = plan(msgspec.structs.replace(suite, class_weight_mean="images"))
        assert "class_weight_mean" not in identity(run.config.recipe)
        assert "loss" not in identity(run.config.recipe)
        tree = msgspec.to_builtins(run.config)
        del tree["recipe"]["class_weight_mean"], tree["recipe"]["loss"]
        assert task_id(stored(tree, run.architecture_hash, run.cell_id)) == run.task_id


def test_what_is_left_out_is_the_list() -> None:
    assert set(LEFT_OUT) == NOT_THE_TASK


@pytest.mark.parametrize("name", PARTS)
def test_a_field_that_joined_later_is_named_with_what_its_absence_stands_for(name: str) -> None:
    """Else the runs that were stored before it are of another task."""
    kind, _, which = name.partition(" ")
    paths = {"": "", "optimizer": "recipe.optimizer.", "loss": "recipe.loss."}
    path = (paths | {"layer": f"{which}."}).get(kind, f"recipe.{which}." if which else f"{name}.")
    written = ALWAYS_WRITTEN.get(PARTS[name], set()) | {"name"} | STRIPPED | NOT_THE_TASK
    absent = {
        f"{path}{field.name}": field.default
        for field in msgspec.structs.fields(PARTS[name])
        if not field.required and field.default is not None and field.name not in written
    }
    listed = {key: list(one) if isinstance(one, tuple) else one for key, one in absent.items()}
    assert listed == {key: ABSENT[key] for key in listed if key in ABSENT}
    mine = {key for key in ABSENT if key.rpartition(".")[0] == path.removesuffix(".")}
    if kind == "optimizer":  # all optimizers have one name there
        mine &= set(absent)
    if kind == "loss":  # the name of the one that there was, and fields that others have too
        mine = {f"{path}{field.name}" for field in msgspec.structs.fields(PARTS[name])} & mine
    assert set(absent) == mine - ONCE_FOR_ALL


@pytest.mark.parametrize("parity", ["matched", "native"])
def test_all_frameworks_of_a_block_have_one_task(parity: Any) -> None:
    runs = plan(Suite(frameworks=FRAMEWORKS, parity=(parity,), seeds=(0, 1), processes=2))
    assert len({run.task_id for run in runs}) == 1
    assert len({run.run_id for run in runs}) == len(runs)


@pytest.mark.parametrize("parity", ["matched", "native"])
def test_a_run_stored_without_a_task_has_the_same_one_when_it_is_read(parity: Any) -> None:
    for run in plan(Suite(frameworks=FRAMEWORKS, parity=(parity,), architectures=("astronn",))):
        text = msgspec.json.encode(run.config).decode()
        assert task_id(stored(text, run.architecture_hash, run.cell_id)) == run.task_id


def test_a_default_that_is_stated_is_the_same_task() -> None:
    """In the file of an architecture, say: what msgspec writes depends on how it was stated."""
    (run,) = plan(Suite(frameworks=("torch",)))
    layers = tuple(
        msgspec.structs.replace(layer, l2=float("0.0")) if getattr(layer, "l2", 1) == 0 else layer
        for layer in run.config.architecture.layers
    )
    architecture = msgspec.structs.replace(run.config.architecture, layers=layers)
    stated = msgspec.structs.replace(run.config, architecture=architecture)
    found = {PlannedRun(config, SIZES).task_id for config in (run.config, stated)}
    assert (len(found), stated.run_id == run.run_id) == (1, True)


CHANGES: dict[str, list[Any]] = {
    "framework": ["torch", "jax"],
    "seed": [0, 1],
    "precision": ["float32", "float64"],
    "tuning": ["idiomatic", "tuned"],
    "feed": ["auto", "staged", "streamed"],
    "threads": [1, 2],
    "warmup_epochs": [0, 1],
    "side_by_side": [1, 2],
    "deterministic": [False, True],
    "data": [
        VIEW,
        msgspec.structs.replace(VIEW, fraction=0.5),
        msgspec.structs.replace(VIEW, augmentation="crops40", cropped_from=76),
    ],
    "recipe": [
        defaults.fill_recipe(Recipe(optimizer=kind(), batch_size=size, **extra))
        for kind in OPTIMIZERS.values()
        for size in (32, 64)
        for extra in ({}, {"keep_best": CALLBACKS["keep_best"]()}, {"partial_batch": "drop"})
    ],
}
CONFIGS = st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in CHANGES.items()})


@given(CONFIGS, CONFIGS)
def test_two_runs_are_of_one_task_when_one_framework_would_have_them_in_one_cell(a, b) -> None:
    first, second = (msgspec.structs.replace(planned(), **changes) for changes in (a, b))
    alike = msgspec.structs.replace(second, framework=first.framework).cell_id == first.cell_id
    ids = [
        task_id(stored(json.dumps(msgspec.to_builtins(config)), "", None))
        for config in (first, second)
    ]
    assert (ids[0] == ids[1]) == alike
