"""The command that repeats a run, from what its row holds."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from results.views.columns import json_object
from results.words import count

_SHIPPED = ("demo", "galaxy10", "galaxy10-decals")
# Fields of the stored configuration that are an option of the main command of the same meaning,
# with the value that need not be said.
_USUAL_LOSS = ({"name": "cross_entropy"}, {"name": "cross_entropy", "label_smoothing": 0.0})
_OPTIONS = (
    ("data.labels", "labels", "native"),
    ("data.channels", "channels", "rgb"),
    ("data.image_key", "image-key", "images"),
    ("data.label_key", "label-key", "ans"),
    ("data.fraction", "fraction", 1.0),
    ("data.augmentation", "augmentation", "none"),
    ("data.oversample", "oversample", ""),
    ("split.seed", "split-seed", 0),
    ("split.by", "split-by", "galaxy"),
    ("split.test_copies", "test-copies", "centre"),
    ("split.taken_from", "split-from", ""),
    ("split.fold", "fold", ""),
    ("split.test_fraction", "test-fraction", 0.2),
    ("split.validation_fraction", "validation-fraction", 0.2),
    ("recipe.epochs", "epochs", None),
    ("recipe.steps_per_epoch", "steps-per-epoch", None),
    ("recipe.shuffle_window", "shuffle-window", None),
    ("recipe.batch_size", "batch-size", None),
    ("recipe.accumulation", "accumulation", 1),
    ("recipe.class_weight_mean", "class-weight-mean", "images"),
    ("recipe.frozen_norm", "frozen-norm", "inference"),
    ("parity", "parity", "matched"),
    ("tuning", "tuning", "idiomatic"),
    ("precision", "precision", "float32"),
    ("device", "device", None),
    ("threads", "threads", None),
    ("replicas", "replicas", 1),
    ("side_by_side", "side-by-side", 1),
    ("feed", "feed", "auto"),
    ("warmup_epochs", "warmup-epochs", 0),
)
_PARTS = (
    *("early_stopping", "stop_at", "stop_when_worse", "reduce_on_plateau", "warm_up", "augment"),
    *("average_weights", "loss_scale", "sampling"),
)
_NAMED = ("optimizer", "schedule", "clipping")


def command(run: Mapping[str, Any]) -> str:
    """The command that repeats this run; empty where its row does not say enough.

    Args:
        run: values by column of `runs`, with None where a value is missing.
    """
    if not run.get("framework") or not run.get("architecture"):
        return ""
    words = ["python", "-m", "benchmarks.run"]
    if run.get("experiment"):
        words += ["--experiments", str(run["experiment"])]
        if run.get("scale") not in (None, 1.0):
            words += ["--scale", f"{run['scale']:g}"]
    else:
        words += ["--architectures", str(run["architecture"])]
    words += ["--frameworks", str(run["framework"])]
    if run.get("seed") is not None:
        words += ["--seeds", str(run["seed"])]
    if run.get("repeat"):
        words += ["--processes", str(int(run["repeat"]) + 1)]
    if not run.get("experiment"):
        words += _galaxies(run)
        words += _settings(json_object(run.get("config")))
    return shlex.join(words)


def remark(run: Mapping[str, Any]) -> str:
    """Facts about a run that its command does not give; empty if it gives all."""
    found = []
    if run.get("dataset") not in _SHIPPED and not run.get("experiment"):
        found.append("The galaxies are a file of your own: give its path.")
    config = json_object(run.get("config"))
    if not run.get("experiment") and isinstance(
        weights := _at(config, "recipe.class_weights"), list
    ):
        found.append(f"Class weights are written out for {count(len(weights), 'class')}.")
    rounds = _at(config, "recipe.rounds") or []
    if any(isinstance(value, dict) for one in rounds for value in one.values()):
        found.append("Its rounds have schedules or layer_rates of their own: state them in a file.")
    if config.get("initial_weights"):
        found.append("It started from a file of weights: give it to --initial-weights.")
    if run.get("commit"):
        found.append(f"It was run at commit {str(run['commit'])[:12]}.")
    return " ".join(found)


def _galaxies(run: Mapping[str, Any]) -> list[str]:
    name = str(run.get("dataset") or "demo")
    words = ["--dataset", name if name in _SHIPPED else f"{name}.h5"]
    counts = run.get("class_counts")
    if name == "demo" and counts is not None and len(counts):
        words += ["--demo-images", str(sum(counts))]
    return words


def _settings(config: Mapping[str, Any]) -> Iterator[str]:
    for path, option, usual in _OPTIONS:
        value = _at(config, path)
        if value is not None and value != usual:
            yield f"--{option}={value}"
    for part in _NAMED:
        found = _at(config, f"recipe.{part}")
        if isinstance(found, dict) and "name" in found:
            yield f"--{part}={_fields(found, str(found['name']))}"
    loss = _at(config, "recipe.loss")
    if isinstance(loss, dict) and loss not in _USUAL_LOSS:
        yield f"--loss={_fields(loss, str(loss.get('name')))}"
    if still := _at(config, "recipe.frozen"):
        yield from ("--frozen", *still)
    if rates := _at(config, "recipe.layer_rates"):
        yield from ("--layer-rates", *(f"{name}={factor}" for name, factor in rates.items()))
    if rounds := _at(config, "recipe.rounds"):
        yield from ("--rounds", *(_fields(one, name="round")[6:] for one in rounds))
    weights = _at(config, "recipe.class_weights")
    if isinstance(weights, list):
        yield from ("--class-weights", *map(str, weights))
    for part in _PARTS:
        if isinstance(found := _at(config, f"recipe.{part}"), dict):
            yield f"--{part.replace('_', '-')}={_fields(found)}"
    if isinstance(best := _at(config, "recipe.keep_best"), dict):
        yield f"--keep-best={best.get('monitor', 'validation_loss')}"
    if config.get("deterministic"):
        yield "--deterministic"


def _fields(values: Mapping[str, Any], name: str = "") -> str:
    words = [name] if name else []
    for field, value in values.items():
        if field not in ("name", "type") and value is not None and not isinstance(value, dict):
            if isinstance(value, list):
                value = (" " if name else ":").join(map(str, value))
            words.append(f"{field}={str(value).lower() if isinstance(value, bool) else value}")
    return ",".join(words)


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree
