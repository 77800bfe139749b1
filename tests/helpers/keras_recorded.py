"""A process whose Keras runs on PyTorch: recorded steps beside launched ones, told as JSON."""

import json
import sys

import numpy as np
import pytest

from datasets.batches import Epoch, MaskSpec, epoch_order, split_into_batches
from frameworks.backend import Runtime, framework
from frameworks.spec.architecture import BatchNorm, Conv, Dropout, Flatten, MaxPool
from frameworks.spec.clipping import ByGlobalNorm
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.recipe import SGD, Adadelta, Adam, AdamW, Recipe
from frameworks.spec.schedules import Cosine
from frameworks.torch.graph import StepGraph
from tests.helpers import cpu_graphs
from tests.helpers.small_networks import network, random_weights

CONV = Conv(filters=4, kernel=3, activation="relu", l2=0.01, max_norm=1.0)
NET = network(CONV, MaxPool(size=2), Dropout(rate=0.25), BatchNorm(), Flatten())
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (11, *NET.input_shape), dtype=np.uint8)
LABELS = GENERATOR.integers(0, NET.classes, 11)
WEIGHTS = random_weights(NET)
WEIGHTED = {"class_weights": tuple(range(1, NET.classes + 1)), "clipping": ByGlobalNorm(limit=0.1)}
RECIPES = {
    "adam": {"optimizer": Adam()},
    "decoupled": {"optimizer": AdamW(weight_decay=0.1)},
    "nesterov": {"optimizer": SGD(momentum=0.9, nesterov=True)},
    "adadelta": {"optimizer": Adadelta()},
    "weighted": {"optimizer": Adam(), **WEIGHTED},
    "by step": {"optimizer": SGD(momentum=0.9), "schedule": Cosine(per="step")},
}


def epoch(number):
    masks = MaskSpec(NET.dropout_shapes, NET.dropout_rates, 0)
    order = epoch_order(np.arange(11), 0, number)
    return Epoch(IMAGES, LABELS, split_into_batches(order, 4), number, masks)


def backend(recipe, feed, records):
    filled = fill_recipe(Recipe(batch_size=4, **RECIPES[recipe]))
    runtime = Runtime(tuning="tuned", precision="float64")
    made = framework("keras@torch").backend("tuned")(NET, filled, runtime, WEIGHTS)
    made.loop.records = records
    if feed == "staged":
        made.stage(IMAGES, LABELS)
    made.compile(epoch(1))
    return made


def furthest(recipe, feed):
    launched, recorded = (backend(recipe, feed, records) for records in (False, True))
    kept = recorded.get_weights()
    assert all(np.array_equal(kept[key], value) for key, value in WEIGHTS.items())
    assert recorded.settings()["compiled"] == "eager; a step in one CUDA graph"
    for number in (1, 2):
        rates = np.linspace(0.1, 0.3, 3) / number
        found, expected = (one.train_at(epoch(number), rates) for one in (recorded, launched))
        assert abs(found.loss - expected.loss) < 1e-12 * expected.loss
        assert found.accuracy == expected.accuracy
    assert len(recorded.loop._recorder.graphs) == 2
    pairs = [(launched.get_weights(), recorded.get_weights())]
    pairs += [(launched.get_optimizer_state(), recorded.get_optimizer_state())]
    return max(float(np.abs(a[key] - b[key]).max()) for a, b in pairs for key in a)


def refused(*arguments, **options):
    raise RuntimeError("operation not permitted when stream is capturing")


def main():
    patch, replays, replay = pytest.MonkeyPatch(), [], cpu_graphs.CPUGraph.replay
    cpu_graphs.install(patch)
    patch.setattr(
        cpu_graphs.CPUGraph, "replay", lambda graph: (replays.append(graph), replay(graph))
    )
    feeds = ("staged", "streamed")
    apart = {f"{name}, {feed}": furthest(name, feed) for name in sys.argv[1:] for feed in feeds}
    patch.setattr(StepGraph, "capture", refused)
    with pytest.warns(UserWarning, match="no CUDA graph of a step"):
        one = backend("adam", "staged", True)
    other = backend("adam", "staged", False)
    alike = one.train_epoch(epoch(1)) == other.train_epoch(epoch(1))
    compiled = one.settings()["compiled"]
    found = {"apart": apart, "replays": len(replays), "refused": compiled, "alike": alike}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
