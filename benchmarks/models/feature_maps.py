# PYTHON_ARGCOMPLETE_OK
"""Feature maps of saved networks: every convolution's output for one galaxy, by framework.

    python -m benchmarks.models.feature_maps --models runs/models --galaxy 111 --output maps

Each framework computes in a process of its own. The command writes a file `NAME.npz` for every
network; `python -m report feature-maps` draws it. Its arrays are `picture`, `facts.json`, and
`maps/FRAMEWORK/LAYER` (height, width, channels) of the framework's own trained weights. Every
framework also computes the network of the first with its weights: the difference is rounding alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results import cli
from results.names import beneath
from results.output import say
from results.vocabulary import near_miss
from results.words import count
from results.writer import scratch_directory, whole_file

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.config.runconfig import RunConfig
    from benchmarks.models.saved import Description, SavedModel
    from datasets.catalog import Dataset

_MAPS_SECONDS = 1800.0  # for one galaxy


def parser() -> cli.Parser:
    """The command line; `python -m report feature-maps` passes its own on to it."""
    made = cli.parser(
        "benchmarks.models.feature_maps",
        "Compute the output of every convolution of saved networks for one galaxy.",
    )
    made.add_argument("--models", type=Path, required=True, metavar="DIR")
    made.add_argument("--output", type=Path, required=True, metavar="DIR")
    made.add_argument("--galaxy", type=int, default=0, metavar="INDEX")
    made.add_argument("--dataset", metavar="NAME|FILE")
    made.add_argument("--frameworks", nargs="+", metavar="NAME")
    made.add_argument("--architectures", nargs="+", metavar="NAME")
    made.add_argument("--seed", type=int, metavar="N")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 2 after a message that says what is wrong."""
    options = parser().parse_args(arguments)
    return cli.run(lambda: say("\n".join(map(str, compute(options)))))


def compute(options: argparse.Namespace) -> list[Path]:
    """Write a file for every network that is asked for; their paths.

    Raises:
        ValueError, OSError: no such models, galaxy or framework; the message says what to do.
    """
    from benchmarks.models import saved

    groups = chosen(
        saved.find(options.models), options.frameworks, options.architectures, options.seed
    )
    names = {model.about.config.framework for group in groups.values() for model in group}
    _check_installed(names)
    options.output.mkdir(parents=True, exist_ok=True)
    shown = {
        name: galaxy(group[0], options.galaxy, options.dataset) for name, group in groups.items()
    }
    found = _computed(groups, {name: picture for name, (picture, _) in shown.items()})
    paths = []
    for name, group in groups.items():
        path = beneath(options.output, name, ending=".npz")
        _write(path, group, found[name], *shown[name])
        paths.append(path)
    return paths


def chosen(
    found: Sequence[SavedModel],
    frameworks: Sequence[str] | None = None,
    architectures: Sequence[str] | None = None,
    seed: int | None = None,
) -> dict[str, list[SavedModel]]:
    """The models that belong side by side, one of each framework, by the name of their figure.

    They were trained on the same data by the same recipe. Of several seeds the first, unless one
    is asked for; of several of one framework the one that was saved last.

    Raises:
        ValueError: what is asked for is not among them.
    """
    from benchmarks.models.saved import DESCRIPTION
    from frameworks.backend import frameworks as known_frameworks
    from frameworks.backend import is_target, without_version

    asked = {
        "framework": frameworks or [],
        "architecture": architectures or [],
        "seed": [] if seed is None else [str(seed)],
    }
    for what, words in asked.items():
        known = sorted({_property(model, what) for model in found})
        for word in words:
            if word not in known:
                raise ValueError(
                    f"no saved model of {what} '{word}'{near_miss(word, known)}; "
                    f"there are: {', '.join(known)}"
                )
    kept = [
        model
        for model in found
        if all(not words or _property(model, what) in words for what, words in asked.items())
        and not model.about.config.control
        and model.about.config.repeat == 0
    ]
    if not kept:
        raise ValueError("no saved model has all that is asked for at once; leave out an option")
    if seed is None:
        first: dict[str, int] = {}
        for model in kept:
            config = model.about.config
            name = config.architecture.name
            first[name] = min(config.seed, first.get(name, config.seed))
        kept = [m for m in kept if m.about.config.seed == first[m.about.config.architecture.name]]
    groups: dict[tuple, dict[str, SavedModel]] = {}
    for model in sorted(kept, key=lambda one: (one.directory / DESCRIPTION).stat().st_mtime):
        config = model.about.config
        groups.setdefault(_key(model.about), {})[config.framework] = model
    order = [*known_frameworks()]
    order += sorted({m.about.config.framework for m in kept if is_target(m.about.config.framework)})
    named: dict[str, list[SavedModel]] = {}
    for members in groups.values():
        names = sorted(members, key=lambda name: (order.index(without_version(name)), name))
        side_by_side = [members[name] for name in names]
        base = name = _name(side_by_side[0].about.config)
        number = 1
        while name in named:
            number += 1
            name = f"{base}-{number}"
        named[name] = side_by_side
    return named


def galaxy(model: SavedModel, index: int, dataset: str | None) -> tuple[np.ndarray, dict[str, Any]]:
    """The picture that a model is shown, uint8 (height, width, channels), and what is told of it.

    Args:
        index: row in the data set, as `predictions.index` has it.
        dataset: instead of the one the model was trained on.

    Raises:
        ValueError, OSError: it cannot be loaded, is not the one trained on, or has no such row.
    """
    from datasets.catalog import load as load_dataset

    about = model.about
    settings = dict(about.data)
    name = dataset or settings.pop("dataset", "")
    settings.pop("dataset", None)
    if not name:
        raise ValueError(f"{model.directory} does not say what it was trained on; give --dataset")
    try:
        data = load_dataset(name, **settings)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} (--dataset names the galaxies)") from error
    known_as = (data.sha256, data.file_sha256)  # a model of an earlier version has the file's
    if dataset is None and about.config.data.sha256 not in known_as:
        raise ValueError(
            f"the galaxies in {name} are not those that {model.directory.name} was trained on: "
            "their SHA-256 differs; name the right ones with --dataset"
        )
    if not 0 <= index < len(data.images):
        raise ValueError(
            f"--galaxy {index}: {data.name} has {count(len(data.images), 'galaxy')}, "
            f"0 to {len(data.images) - 1}"
        )
    return _as_trained(data.images[index], about.config, data), {
        "dataset": data.name,
        "galaxy": index,
        "label": data.class_names[int(data.labels[index])],
        "demo": data.name == "demo",
    }


def _as_trained(picture: np.ndarray, config: RunConfig, data: Dataset) -> np.ndarray:
    """The picture in the size that the network takes: of a larger one the middle (crops), or all of
    it scaled."""
    import numpy as np

    from datasets.resize import box_downscale, middle

    height, width, channels = config.data.input_shape
    if picture.shape[0] < height or picture.shape[1] < width or picture.shape[2] != channels:
        shape = "x".join(map(str, picture.shape))
        raise ValueError(
            f"{data.name} has pictures of {shape}, and the network was trained on "
            f"{height}x{width}x{channels}; name another data set with --dataset"
        )
    if config.data.scaled and picture.shape[0] == picture.shape[1]:
        return box_downscale(picture[None], height)[0]
    return np.ascontiguousarray(middle(picture[None], height, width)[0])


def _write(
    path: Path,
    group: Sequence[SavedModel],
    computed: Mapping[str, Mapping[str, np.ndarray]],
    picture: np.ndarray,
    about: Mapping[str, Any],
) -> None:
    """The maps of all frameworks for one picture, and how far they are apart on equal weights."""
    import numpy as np

    from frameworks import metrics
    from frameworks.spec.graph import nodes
    from frameworks.spec.layers import Conv

    first = group[0]
    layers = [
        node.layer.name
        for node in nodes(first.about.config.architecture.layers)
        if isinstance(node.layer, Conv)
    ]
    arrays: dict[str, np.ndarray] = {"picture": picture}
    told: dict[str, dict[str, Any]] = {}
    equal: dict[str, dict[str, np.ndarray]] = {}
    for model in group:
        name = model.about.config.framework
        found = computed[name]
        arrays |= {f"maps/{name}/{layer}": found[f"own/{layer}"] for layer in layers}
        equal[name] = {layer: found[f"equal/{layer}"] for layer in layers}
        classes = model.about.class_names
        loss = model.about.config.recipe.loss
        predicted = int(metrics.predicted(loss, found["logits"][None])[0])
        told[name] = {
            "tested_epoch": model.about.tested_epoch,
            "epochs_trained": model.about.epochs_trained,
            "predicted": _named(predicted, classes),
            "run_id": model.about.run_id,
        }
    reference = first.about.config.framework
    config = first.about.config
    facts = {
        **about,
        "network": config.architecture.name,
        "labels": config.data.labels,
        "channels": config.data.channels,
        "seed": config.seed,
        "parity": config.parity,
        "tuning": config.tuning,
        "layers": layers,
        "frameworks": told,
        "weights_of": reference,
        "differences": {
            layer: {
                name: difference(maps[layer], equal[reference][layer])
                for name, maps in equal.items()
                if name != reference
            }
            for layer in layers
        },
    }
    arrays["facts.json"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with whole_file(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def difference(maps: np.ndarray, others: np.ndarray) -> float:
    """Largest difference of two arrays relative to the largest value of the second."""
    largest = float(abs(others).max())
    return float(abs(maps - others).max()) / largest if largest else float(abs(maps).max())


def _named(predicted: int, classes: Sequence[str]) -> str:
    """A class's name, or its number; of a network of votes none is said."""
    if predicted < 0:
        return "votes"
    return classes[predicted] if classes else f"class {predicted}"


def _computed(
    groups: Mapping[str, Sequence[SavedModel]], pictures: Mapping[str, np.ndarray]
) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Arrays that `maps_worker` computes, in one process of each framework: by group, by framework.

    Raises:
        ValueError: a framework failed; the message says why.
    """
    import numpy as np

    from benchmarks.process.spawn import ask
    from benchmarks.system import machine

    found: dict[str, dict[str, dict[str, np.ndarray]]] = {name: {} for name in groups}
    with scratch_directory() as scratch:
        jobs: dict[str, list[tuple[str, Path, Path, Path]]] = {}
        for number, (name, group) in enumerate(groups.items()):
            for model in group:
                framework = model.about.config.framework
                folder = scratch / str(number) / str(group.index(model))
                folder.mkdir(parents=True)
                np.save(folder / "picture.npy", pictures[name])
                job = (name, model.directory, group[0].directory, folder)
                jobs.setdefault(framework, []).append(job)
        for framework, mine in jobs.items():
            paths = [path.resolve() for _, *job in mine for path in job]
            _, reason = ask(
                "benchmarks.models.maps_worker",
                paths,
                framework,
                limit=_MAPS_SECONDS * len(mine),
                threads=len(machine.usable_cpus()),
            )
            if reason:
                raise ValueError(f"{framework} could not compute its maps: {reason}")
            for name, *_, folder in mine:
                with np.load(folder / "maps.npz", allow_pickle=False) as archive:
                    found[name][framework] = {key: archive[key] for key in archive.files}
    return found


def _check_installed(names: set[str]) -> None:
    from frameworks.backend import framework

    for name in sorted(names):
        if lacking := framework(name).missing_packages():
            raise ValueError(
                f"{name} is not installed here: it needs {', '.join(lacking)}. Install with: "
                f"python -m pip install -c constraints.txt {' '.join(lacking)}; "
                "or name others with --frameworks"
            )


def _property(model: SavedModel, what: str) -> str:
    config = model.about.config
    return {
        "framework": config.framework,
        "architecture": config.architecture.name,
        "seed": str(config.seed),
    }[what]


def _key(about: Description) -> tuple:
    """Key of models that belong side by side: the task, and the run of it."""
    import msgspec

    from results.task import WHICH_RUN, stored, task_id

    config = about.config
    task = about.task_id or task_id(stored(msgspec.to_builtins(config), "", None))
    return (task, *(getattr(config, name) for name in sorted(WHICH_RUN)))


def _name(config: RunConfig) -> str:
    parts = [config.architecture.name, config.data.dataset, f"seed{config.seed}"]
    parts += [config.data.labels] if config.data.labels != "native" else []
    parts += [word for word in (config.parity, config.tuning) if word in ("native", "tuned")]
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(parts))


if __name__ == "__main__":
    sys.exit(main())
