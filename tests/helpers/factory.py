"""Synthetic rows for the store and the report: invented figures, no network was trained.

They have the shape of what the harness writes: frameworks that nearly agree under matched parity,
a network that overfits, epoch times with a slow first one, failed runs.
"""

import datetime
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from results.store import Store

CLASSES = (
    "Disk, Face-on, No Spiral",
    "Smooth, Completely round",
    "Smooth, in-between round",
    "Smooth, Cigar shaped",
    "Disk, Edge-on, Rounded Bulge",
    "Disk, Edge-on, Boxy Bulge",
    "Disk, Edge-on, No Bulge",
    "Disk, Face-on, Tight Spiral",
    "Disk, Face-on, Medium Spiral",
    "Disk, Face-on, Loose Spiral",
)
COUNTS = (345, 699, 633, 33, 152, 3, 58, 112, 90, 51)
SECONDS = {"keras": 12.7, "torch": 16.1, "jax": 25.2, "keras@torch": 22.4, "keras@jax": 58.0}
START = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC)


def digest(*parts: object) -> str:
    """A stable hash of the parts, as short as the harness's."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]


def synthetic_run(
    framework: str = "keras",
    architecture: str = "unam",
    seed: int = 0,
    *,
    epochs: int = 5,
    execution: int = 0,
    **changes: Any,
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """One invented execution: its run, epochs and predictions, as `Store.append` takes them."""
    parity = changes.get("parity", "matched")
    what = (architecture, changes.get("dataset", "demo"), parity, changes.get("batch_size", 64))
    shared = np.random.default_rng([seed, *digest(*what).encode()])
    own = np.random.default_rng([seed, execution, *framework.encode(), *digest(*what).encode()])
    large = architecture == "unam"
    seconds = SECONDS.get(framework, 14.0) * (1.0 if large else 0.45)
    epoch_seconds = seconds * (1 + own.gamma(2, 0.012, epochs))
    epoch_seconds[0] *= 1.18
    counts = np.array(COUNTS)
    train, validation = 1393, 348

    steps = np.arange(epochs + 1)
    floor = 0.62 if large else 0.74
    base = floor + (2.31 - floor) * np.exp(-steps / 4.0) + shared.normal(0, 0.02, epochs + 1)
    wobble = own.normal(0, 0.004 if parity == "matched" else 0.05, (2, epochs + 1))
    l2 = 0.21 if large else 0.0
    cross_train = base - (0.012 * steps if large else 0) + wobble[0]
    cross_validation = base + 0.04 + (0.0011 * steps**2 if large else 0) + wobble[1]
    accuracy_train = 1 - 0.9 * cross_train / 2.31
    accuracy_validation = 1 - 0.9 * cross_validation / 2.31
    epoch_rows = [
        {
            "epoch": int(epoch),
            "split": split,
            "loss": float(cross[epoch] + l2),
            "cross_entropy": float(cross[epoch]),
            "accuracy": float(np.clip(accuracy[epoch], 0, 1)),
            "epoch_seconds": (
                float(epoch_seconds[epoch - 1]) if split == "train" and epoch > 0 else None
            ),
            "learning_rate": 1e-3,
        }
        for epoch in steps
        for split, cross, accuracy in (
            ("train", cross_train, accuracy_train),
            ("validation", cross_validation, accuracy_validation),
        )
        if not (split == "train" and epoch == 0)
    ]

    in_test = np.maximum(1, np.round(0.2 * counts).astype(int))  # the split has a seed of its own
    labels = np.repeat(np.arange(len(counts)), in_test)
    index = np.cumsum(counts)[labels] - 1 - np.concatenate([np.arange(n) for n in in_test])
    test = len(labels)
    scores = shared.normal(0, 1, (test, len(counts))) + own.normal(0, 0.1, (test, len(counts)))
    scores[np.arange(test), labels] += 2.4
    scores[:, 8] += 0.8 * (labels == 7)
    scores[:, 0] += 0.9 * (labels == 9)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    predictions = [
        {
            "split": "test",
            "index": int(index[row]),
            "label": int(labels[row]),
            "predicted": int(predicted[row]),
            "probabilities": probabilities[row].astype(np.float32),
        }
        for row in range(test)
    ]

    validation_rows = [row for row in epoch_rows if row["split"] == "validation"][1:]
    best = max(validation_rows, key=lambda row: row["accuracy"])
    lowest = min(validation_rows, key=lambda row: row["loss"])
    cross_entropy = float(-np.log(probabilities[np.arange(test), labels]).mean())
    phases = {
        "import_seconds": 1.4 + own.gamma(2, 0.1),
        "stage_seconds": 0.05 + own.gamma(2, 0.01),
        "build_seconds": 0.2 + own.gamma(2, 0.05),
        "compile_seconds": {"torch": 0.3, "jax": 4.1}.get(framework, 1.9) + own.gamma(2, 0.1),
        "train_seconds": float(epoch_seconds.sum()),
        "evaluate_seconds": 0.2 * float(epoch_seconds.sum()) + 0.4,
    }
    run: dict[str, Any] = {
        "run_id": digest(framework, seed, *what),
        "cell_id": digest(framework, *what),
        "execution_id": digest(framework, seed, execution, *what, "execution"),
        "session_id": "synthetic",
        "started_at": START + datetime.timedelta(minutes=seed, hours=execution),
        "framework": framework,
        "architecture": architecture,
        "architecture_hash": digest(architecture),
        "dataset": "demo",
        "dataset_sha256": digest("data") * 4,
        "labels": "native",
        "channels": "rgb",
        "image_height": 69,
        "image_width": 69,
        "image_channels": 3,
        "classes": len(CLASSES),
        "class_names": list(CLASSES),
        "experiment": None,
        "scale": None,
        "fraction": 1.0,
        "augmentation": "none",
        "split_by": "galaxy",
        "test_copies": "centre",
        "augmentation_hash": None,
        "seed": seed,
        "repeat": 0,
        "parity": "matched",
        "tuning": "idiomatic",
        "precision": "float32",
        "device": "cpu",
        "device_name": "Synthetic CPU",
        "threads": 2,
        "status": "ok",
        "parameters": 1_799_964 if large else 2_393_860,
        "train_images": train,
        "validation_images": validation,
        "test_images": test,
        "class_counts": list(COUNTS),
        "epochs": epochs,
        "batch_size": 64,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "recipe": {"optimizer": {"name": "adam", "learning_rate": 1e-3}},
        "test_accuracy": float((predicted == labels).mean()),
        "test_loss": cross_entropy + l2,
        "test_cross_entropy": cross_entropy,
        "best_validation_accuracy": best["accuracy"],
        "best_validation_epoch": best["epoch"],
        "lowest_validation_loss_epoch": lowest["epoch"],
        **phases,
        "wall_seconds": sum(phases.values()) + 0.8,
        "peak_memory_bytes": int(1.1e9 + own.gamma(2, 5e7)),
        "peak_memory_kind": "process resident set",
        "flops_per_image": 1.69e9 if large else 0.70e9,
        "split_hash": digest("split", changes.get("dataset")),
        "order_hash": digest("order", seed, changes.get("batch_size")),
        "weights_hash": digest("weights", architecture, seed, parity == "native" and framework),
        "masks_hash": digest("masks", architecture, seed) if parity == "matched" else None,
        "parity_checked": None,
        "self_checked": None,
        "versions": {"python": "3.11.2", framework.split("@")[0]: "1.2.3", "numpy": "2.4.0"},
        "machine": {"cpu": "Synthetic CPU", "cores": 2, "memory_bytes": 8 * 2**30, "os": "Linux"},
        "machine_id": "synthetic-machine",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
    }
    run.update(changes)
    if isinstance(given := changes.get("config", {}), dict):
        run["config"] = merged(configuration(run), given)
    if run["status"] not in ("ok", "diverged"):
        measured = ["test_accuracy", "test_loss", "test_cross_entropy"]
        for name in [*measured, *phases, "best_validation_accuracy", "best_validation_epoch"]:
            run[name] = None
        return run, [], []
    return run, epoch_rows, predictions


def configuration(run: dict[str, Any]) -> dict[str, Any]:
    """The configuration that a run's columns are of, as far as they tell it."""
    data = ("dataset", "labels", "channels", "classes", "fraction", "augmentation")
    config: dict[str, Any] = {
        name: run[name]
        for name in ("framework", "seed", "repeat", "parity", "tuning", "precision", "device")
    }
    config |= {
        "threads": run["threads"],
        "architecture": {"name": run["architecture"], "layers": [run["architecture_hash"]]},
        "data": {name: run[name] for name in data}
        | {"sha256": run["dataset_sha256"], "height": run["image_height"]},
        "split": {"seed": 0, "by": run["split_by"], "test_copies": run["test_copies"]},
        "recipe": {
            "batch_size": run["batch_size"],
            "epochs": run["epochs"],
            "optimizer": {"name": run["optimizer"], "learning_rate": run["learning_rate"]},
        },
    }
    return json.loads(json.dumps(config, default=lambda value: value.item()))  # NumPy's too


def merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A tree with these values in place of its own."""
    both = {name: (tree[name], changes[name]) for name in tree.keys() & changes.keys()}
    inner = {
        name: merged(*pair)
        for name, pair in both.items()
        if all(isinstance(one, dict) for one in pair)
    }
    return tree | changes | inner


def fill(
    store: Store,
    *,
    frameworks: Sequence[str] = ("keras", "torch", "jax"),
    architectures: Sequence[str] = ("unam", "c2"),
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 5,
    failures: bool = True,
    **changes: Any,
) -> Store:
    """Append an invented matrix of runs, the last seed of one cell a time-out."""
    for seed in seeds:
        for architecture in architectures:
            for framework in frameworks:
                failed: dict[str, Any] = {}
                cell = (framework, architecture, seed)
                if failures and cell == (frameworks[-1], architectures[-1], seeds[-1]):
                    failed = {
                        "status": "timeout",
                        "reason": "no result after 600 s; the process group was ended",
                        "log": "epoch 3 of 5",
                    }
                store.append(
                    *synthetic_run(
                        framework, architecture, seed, epochs=epochs, **(changes | failed)
                    )
                )
    return store


def save_synthetic_examples(store: Store, **changes: Any) -> None:
    """Blobs and ellipses, one for each class."""
    y, x = np.mgrid[-1:1:69j, -1:1:69j]
    images = np.zeros((len(CLASSES), 69, 69, 3), np.uint8)
    for label in range(len(CLASSES)):
        flattening = 1 + label / 2
        profile = np.exp(-8 * np.sqrt(x**2 + (flattening * y) ** 2))
        images[label] = (255 * profile[..., None] * [1.0, 0.9, 0.75]).astype(np.uint8)
    keys: dict[str, Any] = {
        "dataset": "demo",
        "dataset_sha256": digest("data") * 4,
        "label_view": "native",
        "channels": "rgb",
    }
    store.save_examples(images, np.arange(len(CLASSES)), CLASSES, **(keys | changes))


def fill_speed(
    store: Store,
    *,
    frameworks: Sequence[str] = ("keras", "torch", "jax"),
    batch_sizes: Sequence[int] = (64,),
    precisions: Sequence[str] = ("float32",),
    processes: int = 6,
    control: bool = True,
    **changes: Any,
) -> Store:
    """Append an invented speed session: both tunings, limits, a parity check, an A/A pair.

    Tuned takes 0.8 of the idiomatic time, and each process has a pace of its own of about 1 %.
    """
    peak, flops, images = 360e9, 1.69e9, 1393
    for repeat in range(processes):
        for batch_size in batch_sizes:
            for precision in precisions:
                cells = [
                    (name, how, False) for how in ("idiomatic", "tuned") for name in frameworks
                ]
                if control:
                    cells.append((*cells[0][:2], True))
                for number, (name, tuning, again) in enumerate(cells):
                    what = (tuning, precision, batch_size)
                    limits = {
                        "peak_flops_per_second": peak,
                        "bandwidth_bytes_per_second": 20e9,
                        "roofline_seconds": 1.05 * batch_size * flops / peak,
                        "extra": {"load_before": {"load_average": [0.1, 0.1, 0.1]}},
                    }
                    run, epochs, predictions = synthetic_run(
                        name,
                        execution=repeat,
                        epochs=3,
                        repeat=repeat,
                        batch_size=batch_size,
                        tuning=tuning,
                        precision=precision,
                        **({"parity_checked": True, "control": again} | limits | changes),
                    )
                    run["cell_id"] = digest(name, *what)
                    run["run_id"] = digest(name, *what, repeat, again)
                    run["execution_id"] = digest(name, *what, repeat, again, "speed")
                    own = np.random.default_rng([repeat, number, batch_size])
                    pace = (0.8 if tuning == "tuned" else 1.0) * own.normal(1, 0.008)
                    for row in epochs:
                        if row["epoch_seconds"] is not None:
                            row["epoch_seconds"] *= pace * (64 / batch_size) ** 0.2
                    run["train_images"] = images
                    store.append(run, epochs, predictions)
    return store
