"""One framework's maps: `python -m benchmarks.feature_maps_worker MODEL FIRST DIRECTORY`.

Runs in a process of its own, whose environment `feature_maps` has set. DIRECTORY holds the picture
and receives `maps.npz`: `own/LAYER` with the weights of MODEL, `equal/LAYER` with those of FIRST,
and the logits of MODEL.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks import models
from datasets.batches import Batch
from frameworks.architecture import Conv


def main(arguments: list[str]) -> None:
    """Compute and write the maps, float32 (height, width, channels), of every convolution."""
    own, first, directory = (Path(argument) for argument in arguments)
    (model,) = models.find(own)
    (other,) = models.find(first)
    picture = np.load(directory / "picture.npy", allow_pickle=False)
    batch = Batch(picture[None], np.zeros(1, np.int32))
    backend = model.backend()
    arrays: dict[str, np.ndarray] = {}
    for name, weights in (("own", None), ("equal", other.weights())):
        if weights is not None:
            backend.set_weights(weights)
        outputs = backend.activations(batch, training=False)
        layers = model.network.layers
        convolutions = [layer.name for layer in layers if isinstance(layer, Conv)]
        arrays |= {f"{name}/{layer}": outputs[layer][0] for layer in convolutions}
        if name == "own":
            arrays["logits"] = outputs[layers[-1].name][0]
    with (directory / "maps.npz").open("wb") as file:
        np.savez(file, **{key: array.astype(np.float32) for key, array in arrays.items()})  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
