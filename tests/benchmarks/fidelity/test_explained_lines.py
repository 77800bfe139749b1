"""Every line that `--explain` prints runs in the installed framework, and does as it says."""

import os
import subprocess
import sys

import pytest

from frameworks.backend import framework
from frameworks.spec.recipe import Recipe
from frameworks.spec.schedules import Step
from tests.conftest import ROOT
from tests.helpers import explained_lines

NAMES = ("torch", "jax", "keras", "keras@torch", "keras@jax")
LONG = [pytest.mark.slow]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "torch" else LONG) for name in NAMES]
)
def test_every_line_makes_the_framework_agree_with_the_reference(name):
    _run(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_lines_of_shipped_networks_make_the_framework_agree(name):
    _run(name, "c2", "convnext_like", "efficientnet_like", "resnet18", "public/akshataman_leaky")


def _run(name, *networks):
    """In a process of its own: an engine of Keras is chosen once."""
    if framework(name).missing_packages():
        pytest.skip(f"{name} is not installed")
    environment = {**os.environ, **framework(name).environment}
    command = [sys.executable, "-m", "tests.helpers.explained_lines", name, *networks]
    made = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert (made.stdout.strip(), made.returncode) == ("", 0), made.stdout + made.stderr[-2000:]


def test_a_line_that_is_wrong_is_found(monkeypatch):
    """As one that puts as many zeros on both sides, or forgets that a momentum is 1 minus, or
    counts epochs for steps."""
    pytest.importorskip("torch")
    from benchmarks.fidelity.explain.lines import torch as lines
    from benchmarks.fidelity.explain.lines.layers import torch as layers

    monkeypatch.setattr(layers, "zeros_around", lambda *given: ((2, 2), (1, 1)))
    layer = lines.layer
    monkeypatch.setattr(
        lines, "layer", lambda *given: layer(*given).replace("momentum=0.25", "momentum=0.75")
    )
    schedule = lines.schedule
    monkeypatch.setattr(
        lines,
        "schedule",
        lambda recipe: schedule(recipe).replace("after each step", "after the steps"),
    )
    asked = [(explained_lines.NETWORK, Recipe())]
    for per in ("epoch", "step"):
        recipe = Recipe(schedule=Step(every=3, factor=0.3, per=per))
        asked.append((explained_lines.SMALL, recipe))
    chosen = [explained_lines.asked(*one, ("torch", "keras")) for one in asked]
    wrong = "\n".join(explained_lines.check("torch", chosen))
    assert "x = F.pad(x, (1, 1, 2, 2))\nconv1 = nn.Conv2d(3, 16, (4, 3), stride=2)" in wrong
    assert "batch_norm2 = nn.BatchNorm2d(16, eps=0.002, momentum=0.75)" in wrong
    assert "batch_norm1 =" not in wrong
    assert "StepLR(optimizer, 3, 0.3)\n" in wrong
    assert "scheduler.step()  # after the steps of each epoch" not in wrong
