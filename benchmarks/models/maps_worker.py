"""One framework's maps: `python -m benchmarks.models.maps_worker MODEL FIRST DIRECTORY ...`.

Runs in a process of its own, whose environment `feature_maps` has set. Each DIRECTORY holds the
picture and receives `maps.npz`: `own/LAYER` of MODEL, `equal/LAYER` of FIRST in MODEL's framework,
and the logits of MODEL.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.models import saved
from datasets.batches import Batch
from frameworks.spec.architecture import Conv


def main(arguments: list[str]) -> None:
    """Compute and write the maps, float32 (height, width, channels), of every convolution."""
    paths = [Path(argument) for argument in arguments]
    for own, first, directory in zip(paths[::3], paths[1::3], paths[2::3], strict=True):
        _compute(own, first, directory)


def _compute(own: Path, first: Path, directory: Path) -> None:
    (model,) = saved.find(own)
    (other,) = saved.find(first)
    picture = np.load(directory / "picture.npy", allow_pickle=False)
    batch = Batch(picture[None], np.zeros(1, np.int32))
    layers = model.network.layers
    convolutions = [layer.name for layer in layers if isinstance(layer, Conv)]
    outputs = model.backend().activations(batch, training=False)
    arrays = {f"own/{layer}": outputs[layer][0] for layer in convolutions}
    arrays["logits"] = outputs[layers[-1].name][0]
    # the first's network too: under native parity its formulas are not this one's
    outputs = other.backend(model.about.config.framework).activations(batch, training=False)
    arrays |= {f"equal/{layer}": outputs[layer][0] for layer in convolutions}
    with (directory / "maps.npz").open("wb") as file:
        np.savez(file, **{key: array.astype(np.float32) for key, array in arrays.items()})


if __name__ == "__main__":
    main(sys.argv[1:])
