"""What the Keras backend records of how `fit` is fed is what it does, in both tunings."""

import json
import subprocess
import sys

import pytest

from benchmarks.process.environment import environment
from benchmarks.system import machine

SCRIPT = """
import json, sys
import keras, numpy as np
from frameworks.spec.architecture import Flatten
from frameworks.backend import Runtime, framework
from frameworks.spec.defaults import fill_recipe
from frameworks.keras.engines import engine
from frameworks.spec.recipe import Recipe
from tests.helpers.small_networks import network

class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2
    def __getitem__(self, step):
        return np.zeros((1, 2), np.float32), np.zeros(1, np.int32)

name = sys.argv[1]
found = {
    tuning: framework(name).backend(tuning)(
        network(Flatten()), fill_recipe(Recipe(batch_size=2)), Runtime(tuning=tuning), None
    ).settings()
    for tuning in ("idiomatic", "tuned")
}
fed = engine().fed(Batches())
tuner = fed.options().autotune.enabled if hasattr(fed, "options") else None
print(json.dumps({"settings": found, "tuner": tuner}))
"""


@pytest.mark.parametrize(("name", "off"), [("keras", True), ("keras@torch", False)])
def test_the_tuner_of_tf_data_is_off_and_recorded_so(name, off, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, name],
        env=environment(name, device="cpu", threads=1, scratch=tmp_path),
        cwd=machine.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert (found["tuner"] is False) == off
    for settings in found["settings"].values():
        assert settings.get("tf_data_tuner", "on").startswith("off") == off
