"""The fields of a suite as options of a command, and the command line of `benchmarks.run`."""

from __future__ import annotations

import argparse
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from benchmarks.config import experiment
from benchmarks.config.artifacts import CHECKPOINT_SECONDS
from benchmarks.config.cluster import add_cluster
from benchmarks.config.listing import LISTED
from benchmarks.config.overrides import READERS
from benchmarks.config.suite import Suite
from benchmarks.config.suite_file import DEFAULT, OWN_NETWORK, available, check, load
from datasets.drawn.settings import Augment
from frameworks.spec import architecture
from frameworks.spec.architecture import load_with_recipe
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import MONITORS
from frameworks.spec.schedules import SCHEDULES
from results import cli
from results.forms import add_forms

_EPILOG = """\
A list makes a matrix: every combination is run, each in a process of its own.
Options override the fields of the suite.

examples:
  python -m benchmarks.run
  python -m benchmarks.run --frameworks keras torch jax --dataset galaxy10 --seeds 0 1 2
  python -m benchmarks.run --dataset my.h5 --architectures c2 my_network.toml --epochs 20
  python -m benchmarks.run --experiments unam phys449_c2_4way --seeds 0 1 2
  python -m benchmarks.run --experiments all --scale 0.01 --dry-run
"""

_FIELDS = {field.name: field.type for field in msgspec.structs.fields(Suite)}
AUGMENTS = [field.name for field in msgspec.structs.fields(Augment)]

# By group, the fields of a suite that are options: "METAVAR: help".
_OPTIONS = {
    "what to run": {
        "frameworks": "NAME: keras torch jax keras@torch keras@jax",
        "architectures": "NAME|FILE: shipped names, or .toml files",
        "seeds": "N: one run each; a seed draws weights, order and masks",
        "processes": "N: repeat each run in N processes",
        "nudge_repeats": ": repeats start with every weight moved to a neighbouring float32, up or "
        "down at random: how far does rounding alone lead?",
        "parity": "P: matched: same weights, masks, formulas; native: each framework's defaults",
        "unstated": "WHOSE: defaults that fill what network and recipe leave open, under parity "
        "matched: project (default), keras, torch or jax",
        "tuning": "T: idiomatic: as the framework's tutorial has it; tuned: the fastest known",
        "precision": "P: float64 float32 tf32 float16 bfloat16 (float32 never uses TF32)",
    },
    "galaxies": {
        "dataset": "NAME|FILE: demo, galaxy10, galaxy10-decals, an HDF5 file, or what `python -m "
        "datasets convert` takes: a folder or zip file of pictures, .npz, .parquet, .csv, ...",
        "labels": "VIEW: native, 4way, 3way or hubble",
        "channels": "C: rgb, grey, mean, or one of 0 1 2",
        "image_size": "PIXELS: scale down to a square; the demo is generated at any size",
        "image_key": "KEY: HDF5 dataset of the pictures",
        "label_key": "KEY: HDF5 dataset of the labels",
        "group_key": "KEY: HDF5 dataset of numbers or names; pictures that share one are of one "
        "galaxy, and stay in one part of the split (default: groups, if there is one)",
        "label_map": "MAP: the classes that labels 4way and 3way group, as in 'E=1,2 S0=3 Sp=4,5 "
        "Irr=0'; galaxy10: those of Galaxy10 SDSS",
        "split_from": "KEY: the file's dataset or column of the published split: train, "
        "validation, test; a part that is not there is dealt from train (default: a split of ours)",
        "skip_bad": "N: leave out up to N pictures of a source that cannot be taken",
        "demo_images": "N: galaxies to generate",
        "fraction": "F: a part of the galaxies, by class",
        "augmentation": "A: none; crops40: 5 crops x 4 rotations x transpose; dihedral: 8 flips "
        "and rotations",
        "crop_size": "PIXELS: side of the crops of crops40 (default: 100/110 of the picture's)",
        "oversample": "HOW: copy training galaxies until all classes are as large as the largest: "
        "repeated, or changed once each, by fields of --augment, as in flip,rotation=20",
        "split_by": "UNIT: galaxy (default), or copy: the copies of one galaxy are trained and "
        "tested on (leak)",
        "test_copies": "C: centre (default): validate and test on the picture as it is; all: on "
        "every copy",
        "split_seed": "N: draws which galaxies are for training, validation and test",
        "test_fraction": "F: share of all galaxies that test",
        "fold": "K/N: cross-validation: the K-th of N parts of the galaxies tests, as in 1/5",
        "validation_fraction": "F: share of the other galaxies that validate",
    },
    "training": {
        "epochs": "N: passes over the training galaxies",
        "steps_per_epoch": "N: an epoch is so many steps; passes go on from one to the next",
        "shuffle_window": "N: shuffle within so many galaxies, as tf.data's shuffle(N) does",
        "sampling": "balanced|FIELD=VALUE,...: draw the galaxies of each epoch by class, as "
        "PyTorch's WeightedRandomSampler does, as in weights=1:2:0.5,replacement=false; or none",
        "batch_size": "N: galaxies in a batch",
        "accumulation": "N: step once after so many batches, with the mean of their gradients",
        "optimizer": "NAME[,FIELD=VALUE...]: as in sgd,momentum=0.9,nesterov=true",
        "loss": "NAME[,FIELD=VALUE...]: the head: cross_entropy (default), "
        "binary_cross_entropy, mean_squared_error; fields: label_smoothing targets outputs "
        "root, as in cross_entropy,label_smoothing=0.1 or mean_squared_error,outputs=sigmoid",
        "schedule": "NAME[,FIELD=VALUE...]: the learning rate by epoch, or with per=step by step: "
        f"{' '.join(SCHEDULES)}; as in cosine, or multi_step,at=30 60,factor=0.1",
        "warm_up": "N|FIELD=VALUE,...: epochs in which the rate rises to its value, ahead of any "
        "schedule, or as in length=500,per=step; none takes away what a suite says",
        "clipping": "NAME,limit=L: hold the gradients: each number (value), the norm of each "
        "tensor (norm; Keras' clipnorm), of all together (global_norm; clip_grad_norm_); or none",
        "average_weights": "DECAY|FIELD=VALUE,...: test averages of the weights (EMA); or none",
        "loss_scale": "FIELD=VALUE,...: multiply the loss ahead of the gradient, as float16 always "
        "does: from initial (a power of two), twice as much after interval finite steps; or none",
        "initial_weights": "FILE: weights to start from: .npz (as --save-models keeps them), a "
        "PyTorch state_dict or Flax state as .safetensors, or .keras; what it fills is told",
        "frozen": "LAYER: layers, or whole blocks, that training leaves as they are",
        "frozen_norm": "M: the batch norms of frozen layers compute as in inference (Keras), or as "
        "in training, their running statistics with them (PyTorch)",
        "layer_rates": "LAYER=FACTOR: multiply the learning rate of a layer or block",
        "rounds": "after=EPOCH,FIELD=VALUE,...: train anew from then on, from the weights so far; "
        "as in after=10,learning_rate=1e-4,frozen=none; further fields: patience goes_on",
        "class_weights": "W: a number for each class, or balanced: n / (classes * n of the class) "
        "in training",
        "class_weight_mean": "M: weighted losses are divided by the number of images, or by the "
        "sum of their weights, as PyTorch does",
        "early_stopping": "PATIENCE|FIELD=VALUE,...: stop after so many epochs without a better "
        "validation_loss; fields: monitor patience min_delta restore_best, as in "
        "patience=4,min_delta=1e-4,restore_best=true",
        "stop_at": "SCORE|FIELD=VALUE,...: stop as soon as the validation_loss is better than so "
        "much, or as in monitor=training_loss,score=0.2",
        "stop_when_worse": "EPOCHS|FIELD=VALUE,...: stop when the validation_loss is worse than in "
        "each of so many epochs before (default 1), or as in epochs=2,first_epoch=4",
        "reduce_on_plateau": "FIELD=VALUE,...: lower the learning rate instead, as in "
        "factor=0.5,patience=5; fields: monitor factor patience min_delta cooldown "
        "min_learning_rate relative (min_delta is a share of the best, as PyTorch's threshold)",
        "keep_best": f"MONITOR: test with the weights of the best epoch, by {' '.join(MONITORS)} "
        "(default the first); none takes away what a suite says, here and in those above",
        "augment": "FIELD=VALUE,...: change every training galaxy anew in each epoch, drawn from "
        "seed, epoch and galaxy, as in flip,rotation=180,shift=0.1,zoom=0.9:1.1; fields: "
        f"{' '.join(AUGMENTS)}; none takes it away (docs/data.md)",
    },
    "how to run": {
        "device": "D: auto cpu cuda",
        "threads": "N: CPU threads (default: all)",
        "replicas": "N: data-parallel replicas that a run trains, which share the threads and deal "
        "each batch among them (docs/cluster.md); 1 2 shows how they scale",
        "side_by_side": "N: blocks that may share a node of --executor slurm or ray, each with its "
        "share of CPUs and GPUs (default 1); such runs are compared with their like alone",
        "feed": "F: a tuned run's data: staged on the device, streamed, auto (staged if it fits)",
        "warmup_epochs": "N: time nothing of the first N epochs",
        "deterministic": ": set the frameworks' deterministic flags: the same bits every time on a "
        "GPU as well, at a cost (docs/method.md)",
        "timeout": "SECONDS: kill a run after so long; 0 is never (default: 20 times its estimate, "
        "at least 1800; the suites quick and demo have 600)",
    },
}
_TEXTS = {name: text for texts in _OPTIONS.values() for name, text in texts.items()}
# What the type of a field does not say.
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("processes", "batch_size", "threads", "replicas"), cli.positive),
    "side_by_side": cli.positive,
    **dict.fromkeys(("image_size", "demo_images", "crop_size"), cli.positive),
    **dict.fromkeys(("steps_per_epoch", "shuffle_window", "accumulation"), cli.positive),
    **dict.fromkeys(READERS, str),
    "timeout": cli.seconds,
}
_MAY_BE_EMPTY = ("stop_when_worse", "reduce_on_plateau", "keep_best", "loss_scale")
# What the shell completes; of the others what `choices` has, or files.
_COMPLETED = {
    "architectures": lambda: [*architecture.available(), *architecture.public()],
    "frameworks": lambda: _TEXTS["frameworks"].split()[1:],
}


def add(to: argparse._ActionsContainer, field: str, **changed: Any) -> None:
    """Add the option of a field of the suite: list, choices and type of number are the field's.

    Args:
        changed: arguments of `add_argument` that are otherwise in this command.
    """
    metavar, _, text = _TEXTS[field].partition(": ")
    settings = {"help": text, **_typed(_FIELDS[field])}
    if metavar:
        settings["metavar"] = metavar
    if field in _TYPES:
        settings["type"] = _TYPES[field]
    if field in _MAY_BE_EMPTY:
        settings |= {"nargs": "?", "const": ""}
    action = to.add_argument(f"--{field.replace('_', '-')}", **settings | changed)
    if field in _COMPLETED:
        action.completer = lambda **_: _COMPLETED[field]()  # type: ignore[attr-defined]


def _typed(kind: Any) -> dict[str, Any]:
    """The arguments of `add_argument` that follow from the type of a field."""
    if get_origin(kind) in (tuple, list, dict):
        return {"nargs": "+", **_typed(get_args(kind)[0])}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    if get_origin(kind) in (Union, types.UnionType):
        return _typed(get_args(kind)[0])
    if kind is bool:
        return {"action": "store_true", "default": None}
    return {"type": {int: cli.natural, float: float}.get(kind, str)}


def parser() -> cli.Parser:
    """The command line of `benchmarks.run`. What is not given there comes from the suite."""
    made = cli.parser(
        "benchmarks.run",
        "Train one architecture in several frameworks on the same galaxies.",
        epilog=_EPILOG,
    )
    made.add_argument("--list", choices=LISTED, metavar="WHAT", help=f"print {' '.join(LISTED)}")
    groups = {title: made.add_argument_group(title) for title in _OPTIONS}
    what, training, how = (groups[name] for name in ("what to run", "training", "how to run"))
    what.add_argument(
        "--suite",
        metavar="NAME|FILE",
        help=f"a named matrix: {', '.join(available())}; or a .toml file (default: {DEFAULT} for "
        f"the demo galaxies, {OWN_NETWORK} where --architectures is given as well; for other "
        "galaxies none, that is 10 epochs of batches of 64)",
    )
    what.add_argument(
        "--experiments",
        nargs="+",
        metavar="NAME|FILE",
        help="published trainings, with what was reported beside what comes out: "
        f"{', '.join(experiment.available())}; or all, or .toml files (docs/experiments.md)",
    )
    what.add_argument(
        "--scale",
        type=float,
        metavar="S",
        help="run experiments with this share of their galaxies and epochs, labelled as scaled",
    )
    what.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="the interpreter of a framework, or of a version of it beside the others, as in "
        "--frameworks torch torch@2.12 --python torch@2.12=old/bin/python",
    )
    for title, texts in _OPTIONS.items():
        for field in texts:
            add(groups[title], field)
    training.add_argument("--learning-rate", type=float, metavar="RATE", help="the optimizer's")
    how.add_argument(
        "--resume",
        action="store_true",
        help="leave out what the store holds of this machine with status ok, and go on with what "
        "was broken off from its last checkpoint",
    )
    how.add_argument(
        "--checkpoint-every",
        type=cli.seconds,
        default=CHECKPOINT_SECONDS,
        metavar="SECONDS",
        help="keep the state of a training at the end of an epoch when so long has passed since "
        "the last; 0 is every epoch (default: %(default)g)",
    )
    how.add_argument(
        "--no-self-check",
        action="store_true",
        help="do not check a trained run: by default its predictions and weights are asked again, "
        "in other ways and of the float64 reference, and two steps are taken again (outside of "
        "every timed window)",
    )
    how.add_argument(
        "--dry-run", action="store_true", help="print the matrix and an estimate; run nothing"
    )

    add_cluster(made.add_argument_group("on a cluster (docs/cluster.md)"))
    where = made.add_argument_group("results")
    cli.add_store(where)
    page, told = Path("report-out"), "directory of the page (default: %(default)s)"
    where.add_argument(
        "--report", type=cli.output_directory, default=page, metavar="DIR", help=told
    )
    where.add_argument(
        "--save-models",
        nargs="?",
        const="",
        metavar="DIR",
        help="keep the trained networks, in each framework's own format and as weights that every "
        "framework loads (default directory: models in the store)",
    )
    where.add_argument(
        "--write-ids",
        type=cli.output,
        metavar="FILE",
        help="for programs: write there, a line each, the execution_id of each run of this call, "
        "and with --resume of each that was finished before",
    )
    where.add_argument("--no-report", action="store_true", help="write no report page")
    add_forms(where)
    return made


def _named(options: argparse.Namespace) -> Suite:
    """The suite that the options name, or the one that is made for what they ask.

    quick is made for its own small network, demo for any network on the demo galaxies; other data
    take the general settings.
    """
    if options.suite:
        return load(options.suite)
    if options.dataset not in (None, "demo"):
        return Suite()
    return load(DEFAULT if options.architectures is None else OWN_NETWORK)


def requested(options: argparse.Namespace, base: Suite | None = None) -> Suite:
    """The suite with the options in place of its fields.

    Args:
        base: the suite; by default the one that the options name.

    Raises:
        SpecificationError: an unknown suite or optimizer, a bad value.
    """
    suite = _named(options) if base is None else base
    suite = _with_recipe_of_file(suite, options.architectures)
    changes: dict[str, Any] = {}
    for field in _FIELDS:
        given = getattr(options, field, None)
        if given is not None and field in READERS:
            changes[field] = READERS[field](given)
        elif given is not None:
            changes[field] = tuple(given) if isinstance(given, list) else given
    if options.learning_rate is not None:
        optimizer = changes.get("optimizer", suite.optimizer)
        changes["optimizer"] = msgspec.structs.replace(
            optimizer, learning_rate=options.learning_rate
        )
    suite = msgspec.structs.replace(suite, **changes)
    check(suite, origin="command line")
    return suite


def _with_recipe_of_file(suite: Suite, named: Sequence[str] | None) -> Suite:
    """The suite with what the [recipe] of the one network's file states in place of its fields.

    Args:
        named: the networks that the command line names; None where the suite names them.
    """
    for name in named or suite.architectures:
        told = load_with_recipe(name)[1]
        if not told.fields:
            continue
        if not named:
            raise SpecificationError(
                f"{name}: a suite states its own recipe; move the fields of [recipe] into the "
                "suite, or name the file with --architectures."
            )
        if len(named) > 1:
            raise SpecificationError(
                f"{name}: its [recipe] is of this network alone; give it to --architectures by "
                "itself, or take [recipe] out and state it with options."
            )
        if told.recipe.partial_batch != "keep":
            raise SpecificationError(
                f"{name}: [recipe]: field 'partial_batch': benchmarks.run trains on the last, "
                'smaller batch too; state "keep", or leave it out.'
            )
        stated = {field: getattr(told.recipe, field) for field in told.fields - {"partial_batch"}}
        if "batch_size" in stated:
            stated["batch_size"] = (told.recipe.batch_size,)
        for field in stated.keys() & {"frozen", "rounds"}:
            stated[field] = list(stated[field])
        if told.recipe.class_weights:
            stated["class_weights"] = list(told.recipe.class_weights)
        return msgspec.structs.replace(suite, **stated)
    return suite
