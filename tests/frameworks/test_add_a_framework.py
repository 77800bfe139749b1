"""A backend named by `module:Class`, and the example of docs/add-a-framework.md."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.climb import climb
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import collect
from benchmarks.fidelity.options import parser
from benchmarks.fidelity.rungs.judge import judge
from benchmarks.models import saved
from benchmarks.process import interpreters
from benchmarks.run import main
from frameworks.backend import Backend, EpochResult, Runtime, framework
from frameworks.spec import architecture
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from results.store import Store
from tests.helpers.small_networks import network, random_weights

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "softmax_numpy.py"
NAME = "my_backend:Softmax"


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A directory with the example as `my_backend.py`, and no distribution of it."""
    shutil.copy(EXAMPLE, tmp_path / "my_backend.py")
    shutil.copy(EXAMPLE.with_name("softmax.toml"), tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*frameworks: str) -> int:
    usual = ["--architectures", "softmax.toml", "--demo-images", "60", "--epochs", "2"]
    usual += ["--threads", "1", "--no-report", "--save-models", "models"]
    return main([*usual, "--device", "cpu", "--frameworks", *frameworks])


def test_the_example_trains_from_the_current_directory_and_is_kept(work, monkeypatch) -> None:
    assert run(NAME) == 0
    row = Store("runs").runs().iloc[0]
    assert (row["framework"], row["status"]) == (NAME, "ok")
    epochs = Store("runs").epochs()
    loss = epochs[epochs["split"] == "train"].set_index("epoch")["loss"]
    assert loss[2] < loss[1]
    (model,) = saved.find(Path("models"))
    assert re.fullmatch(r"[\w.@~-]+", model.directory.name)
    monkeypatch.syspath_prepend(work)
    assert model.backend().get_weights().keys() == model.weights().keys()


def test_the_example_climbs_the_ladder_on_its_own_network(work) -> None:
    own = architecture.load("softmax.toml")
    cases = [
        *ladder.one_batch([own], ["float64", "float32"], [10]),
        *ladder.one_step([own], ["float64"], ["adam", "nesterov", "adagrad"]),
    ]
    findings = judge(collect([REFERENCE, NAME], cases, work / "traces"), cases, [NAME])
    assert {one.rung for one in findings} >= {"R0", "R1", "R2", "R4"}
    assert {one.status for one in findings} == {"passed"}


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "add-a-framework.md").read_text()
    shown = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "self" in block]
    assert shown
    assert all(block in EXAMPLE.read_text() for block in shown)
    assert f"{len(EXAMPLE.read_text().splitlines())} lines" in page


BROKEN = """
import numpy
print("a module may print")
class Half:
    def predict(self, images): ...
    def get_weights(self): ...
"""


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("no_module:Softmax", "", "no_module:Softmax: there is no module 'no_module'"),
        ("broken:Hafl", "", "has no class 'Hafl' (did you mean 'Half'?)"),
        ("broken:numpy", "", "has no class 'numpy'"),
        ("broken:Half", "", "it lacks get_optimizer_state, set_learning_rate, set_optimizer_state"),
        ("broken:Half", "1 / 0", "broken:Half: ZeroDivisionError: division by zero ("),
        ("broken:Half", "import no_such", "ModuleNotFoundError: No module named 'no_such' ("),
    ],
)
def test_a_class_that_cannot_be_used_says_why(work, monkeypatch, capsys, name, line, said) -> None:
    (work / "broken.py").write_text(BROKEN + line)
    monkeypatch.syspath_prepend(work)
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    assert said in interpreters.describe(name)["problem"]
    assert not capsys.readouterr().out


@pytest.mark.parametrize("name", ["broken:", ":Half", "broken:Half@2", "broken.py:Half.inner"])
def test_what_is_no_module_and_class_says_what_is_expected(name) -> None:
    with pytest.raises(SpecificationError, match="expected module:Class, as in my_backend:Softmax"):
        framework(name)


def test_it_is_told_in_one_message_before_anything_runs(work, capsys) -> None:
    (work / "broken.py").write_text(BROKEN)
    assert run("broken:Half") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: broken:Half is no backend: it lacks")
    assert not Path("runs", "runs").exists()
    with pytest.raises(ValueError, match="broken:Half is no backend"):
        climb(parser().parse_args(["--frameworks", "broken:Half"]), [])


def test_an_interpreter_is_asked_for_the_class_that_it_will_run(work, capsys) -> None:
    arguments = ["--frameworks", "gone:Softmax", "--python", f"gone:Softmax={sys.executable}"]
    assert main(arguments) == 2
    assert "there is no module 'gone'" in capsys.readouterr().err


class OfTheProtocol:
    """What a third party wrote when a backend was whatever had the methods."""

    def __init__(self, network, recipe, runtime, weights) -> None:
        self.network, self.recipe, self.runtime, self.weights = network, recipe, runtime, weights

    def train_epoch(self, epoch):
        return EpochResult(0.0, 1.0)

    def predict(self, images):
        return np.zeros((len(images), self.network.classes))

    def get_weights(self):
        return self.weights

    def get_optimizer_state(self):
        return {}

    set_weights = set_learning_rate = set_optimizer_state = lambda self, given: None


def test_a_class_of_the_earlier_protocol_gets_the_defaults() -> None:
    kind = framework(f"{__name__}:OfTheProtocol").backend()
    made = network()
    one = kind(made, Recipe(), Runtime(), random_weights(made))
    assert isinstance(one, Backend)
    assert one.parameters() == made.parameters()
    assert (one.settings(), one.get_random_state(), one.host_wait_seconds) == ({}, {}, None)
    assert one.save(Path("nowhere")) is None
    with pytest.raises(SpecificationError, match="OfTheProtocol has no gradients; the ladder"):
        one.gradients(None)
