"""python -m report feature-maps: every convolution's maps for one galaxy, frameworks side by side.

The maps are computed by `python -m benchmarks.models.feature_maps`, started by its name in a
process of its own: no framework is imported here.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results import cli, names, words
from results.output import say
from results.views.looks import looks, plain
from results.writer import scratch_directory

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

DEFAULT_MODELS = Path("runs/models")
DEFAULT_OUTPUT = Path("report-out/feature-maps")
PERCENTILE = 99.5  # colours end here: a single bright pixel would leave the rest dark
_COMPUTE = "benchmarks.models.feature_maps"


@dataclass(frozen=True)
class Maps:
    """The maps of one network: `of[framework][layer]` is float32 (height, width, maps).

    picture: uint8 (height, width, channels). facts: see `benchmarks.models.feature_maps`.
    """

    name: str
    picture: np.ndarray
    of: Mapping[str, Mapping[str, np.ndarray]]
    facts: Mapping[str, Any]


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `python -m report`."""
    made = commands.add_parser(
        "feature-maps",
        help="the maps of saved networks for one galaxy",
        description="Draw the output of every convolution of saved networks for one galaxy, with "
        "the frameworks side by side. Networks are saved by python -m benchmarks.run "
        "--save-models.",
    )
    made.set_defaults(draw=draw)
    made.add_argument(
        "--models",
        type=Path,
        default=DEFAULT_MODELS,
        metavar="DIR",
        help="where the models are (default: %(default)s)",
    )
    made.add_argument(
        "--galaxy",
        type=int,
        default=0,
        metavar="INDEX",
        help="row in the data set, as in the predictions (default: %(default)s)",
    )
    made.add_argument("--dataset", metavar="NAME|FILE", help="other galaxies than those trained on")
    made.add_argument("--frameworks", nargs="+", metavar="NAME", help="only these")
    made.add_argument("--architectures", nargs="+", metavar="NAME", help="only these")
    made.add_argument("--seed", type=int, metavar="N", help="(default: the lowest there is)")
    made.add_argument(
        "--output",
        type=cli.output_directory,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="where to write (default: %(default)s)",
    )


def draw(options: argparse.Namespace) -> int:
    """Draw the maps; the status is that of the process that computed them.

    Raises:
        OSError: the figures cannot be written.
    """
    with scratch_directory() as scratch:
        if status := _compute(options, scratch):
            return status
        try:
            for path in sorted(scratch.glob("*.npz")):
                _draw(read(path), options.output)
        except OSError as error:
            raise OSError(
                f"cannot write to {options.output}: {error.strerror or error}; "
                "name another directory with --output"
            ) from error
    return 0


def read(path: Path) -> Maps:
    """Read a file of `benchmarks.models.feature_maps`; nothing is unpickled."""
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    facts = json.loads(arrays.pop("facts.json").tobytes())
    picture = arrays.pop("picture")
    of: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        _, framework, layer = key.split("/")
        of.setdefault(framework, {})[layer] = array
    return Maps(path.stem, picture, of, facts)


def tiled(maps: np.ndarray) -> np.ndarray:
    """Maps (height, width, n) as one picture in rows, with gaps of NaN between them."""
    import numpy as np

    height, width, count = maps.shape
    columns = columns_for(count)
    rows = math.ceil(count / columns)
    gap = max(1, round(min(height, width) / 12))
    picture = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan, np.float32
    )
    for number in range(count):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        picture[top : top + height, left : left + width] = maps[:, :, number]
    return picture


def columns_for(count: int) -> int:
    """Columns for so many maps: at least as many as rows, none left over where that can be."""
    least = math.ceil(math.sqrt(count))
    return next((n for n in range(least, 2 * least + 1) if count % n == 0), least)


def figure(maps: Maps, layer: str) -> Figure:
    """The galaxy, and one panel of maps for each framework on one scale of colours."""
    import matplotlib as mpl
    import numpy as np
    from matplotlib.colors import Normalize, PowerNorm
    from matplotlib.gridspec import GridSpec

    from report.figures import style

    shown_as = looks(maps.of)
    values = np.concatenate([maps.of[name][layer].ravel() for name in maps.of])
    low, high = np.percentile(values, [100 - PERCENTILE, PERCENTILE])
    low, high = (0.0 if low >= 0 else low), (high if high > low else low + 1)
    panel = 3.0 if len(maps.of) > 2 else 3.8
    shown = {name: tiled(maps.of[name][layer]) for name in shown_as}
    tall = max(picture.shape[0] / picture.shape[1] for picture in shown.values())
    made = style.figure(2.3 + (panel + 0.1) * len(maps.of), max(1.5, panel * tall) + 1.15)
    grid = GridSpec(1, 1 + len(maps.of), figure=made, width_ratios=[1.5, *[panel] * len(maps.of)])
    axes = made.add_subplot(grid[0])
    squeezed = maps.picture if maps.picture.shape[2] == 3 else maps.picture[:, :, 0]
    axes.imshow(squeezed, cmap="gray")
    axes.set_title("the galaxy")
    _without_ticks(axes)
    colours = mpl.colormaps["viridis"].with_extremes(bad="white")
    # the root shows faint maps beside bright ones; where outputs are negative there is none
    norm = Normalize(low, high) if low < 0 else PowerNorm(0.5, low, high)
    panels = []
    for place, (name, look) in enumerate(shown_as.items(), start=1):
        axes = made.add_subplot(grid[place])
        drawn = axes.imshow(shown[name], cmap=colours, norm=norm, interpolation="nearest")
        told = maps.facts["frameworks"][name]
        axes.set_title(f"{look.name}, epoch {told['tested_epoch']}", color=look.colour)
        axes.set_xlabel(plain(f"predicts: {told['predicted']}"), fontsize=7.5)
        _without_ticks(axes)
        panels.append(axes)
    extend, label = ("both", "output") if low < 0 else ("max", "output (root scale)")
    made.colorbar(drawn, ax=panels, shrink=0.8, pad=0.01, extend=extend, label=label)
    some = next(iter(maps.of.values()))[layer]
    title = (
        f"{maps.facts['network']}, {layer}: {words.count(some.shape[2], 'map')} of "
        f"{_size(some)} pixels"
    )
    return style.finish(made, title, caption(maps, layer), demo=maps.facts["demo"])


def caption(maps: Maps, layer: str) -> str:
    """Caption of a figure: data, network, training, scale, and difference with equal weights."""

    facts = maps.facts
    drawn = looks(maps.of)
    labels = "" if facts["labels"] == "native" else f", {facts['labels']} labels"
    trained = {told["epochs_trained"] for told in facts["frameworks"].values()}
    epochs = " and ".join(str(number) for number in sorted(trained))
    nouns = words.nouns(max(trained), "epoch")
    sentences = [
        f"Galaxy {facts['galaxy']} of {facts['dataset']}{labels} (labelled {facts['label']}), "
        f"{_size(maps.picture)} pixels.",
        f"Output of the layer with its activation function, in inference mode, float32 on the CPU; "
        f"each framework has the weights it trained itself for {epochs} {nouns} (seed "
        f"{facts['seed']}, {facts['parity']} parity, {facts['tuning']}) and tested in the epoch "
        "named: panels differ as far as the trainings do.",
        f"One scale of colours for all panels, which ends where {PERCENTILE:g} % of the values do.",
    ]
    apart = facts["differences"][layer]
    if apart:
        largest = max(apart, key=lambda name: apart[name])
        sentences.append(
            f"Given the same weights, those of {drawn[facts['weights_of']].name}, the frameworks "
            f"differ by at most {apart[largest]:.1e} of the layer's largest value, in "
            f"{drawn[largest].name}."
        )
    return " ".join(sentences)


def _compute(options: argparse.Namespace, scratch: Path) -> int:
    """Have the maps computed; the exit status of the process, which tells its own errors.

    Nothing of it outlives this process (`benchmarks.process.child`); Ctrl-C reaches this one alone.
    """
    root = Path(__file__).resolve().parent.parent
    child = str(root / "benchmarks" / "process" / "child.py")
    command = [sys.executable, child, str(os.getpid()), _COMPUTE, "--output", str(scratch)]
    command += ["--models", str(options.models), f"--galaxy={options.galaxy}"]
    for name in ("dataset", "seed"):
        if (value := getattr(options, name)) is not None:
            command.append(f"--{name}={value}")
    for name in ("frameworks", "architectures"):
        if values := getattr(options, name):
            command += [f"--{name}", *values]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _draw(maps: Maps, output: Path) -> None:
    import matplotlib as mpl

    from report.figures import style

    output.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(style.RC):
        for layer in maps.facts["layers"]:
            path = names.beneath(output, f"{maps.name}-{layer}", ending=".png")
            style.save(figure(maps, layer), path, path.with_suffix(".pdf"))
            apart = maps.facts["differences"][layer]
            told = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
            say(f"{path}" + (f"  same weights, largest difference: {told}" if told else ""))


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[0]}x{picture.shape[1]}"


def _without_ticks(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
