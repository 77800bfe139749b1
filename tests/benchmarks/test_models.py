"""Saved models: each framework reads its own file without this project, and any reads the weights.

Trained once, by the command itself, under both parities (`tests.helpers.small_galaxies.train`).
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import saved
from benchmarks.models.saved import DESCRIPTION, WEIGHTS, find
from benchmarks.process.environment import environment
from frameworks.spec.reading import SpecificationError
from results.store import Store
from tests.conftest import ROOT
from tests.helpers import fake_backend, small_galaxies
from tests.helpers.small_galaxies import FRAMEWORKS


def stored_probabilities(trained: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rows in the data set and probabilities of the test galaxies, by run."""
    frame = Store(trained / "runs").predictions()
    return {
        run_id: (rows["index"].to_numpy(), np.stack(rows["probabilities"].to_list()))
        for run_id, rows in frame.groupby("run_id")
    }


def pictures(trained: Path) -> np.ndarray:
    import h5py

    with h5py.File(trained / "galaxies.h5") as file:
        return file["images"][...]


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def in_framework(name: str, code: str, *arguments: str, cwd: Path, project: bool = True) -> None:
    """Run a script in a process of the framework's own; without the project it cannot be seen."""
    variables = environment(name, device="cpu", threads=1, scratch=cwd)
    if not project:
        del variables["PYTHONPATH"]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_a_model_says_of_itself(trained) -> None:
    found = find(trained / "runs" / "models")
    runs = Store(trained / "runs").runs().set_index("run_id")
    assert len(found) == 6
    for model in found:
        about, row = model.about, runs.loc[model.about.run_id]
        assert about.config.run_id == about.run_id
        assert about.config.framework == row["framework"]
        assert about.class_names == ("class 0", "class 1", "class 2")
        assert about.input_shape == (10, 10, 3)
        assert about.tested_epoch == row["tested_epoch"] == 2
        assert about.versions == json.loads(row["versions"])
        assert Path(about.data["dataset"]) == (trained / "galaxies.h5").resolve()
        assert json.loads(row["extra"])["model"] == str(model.directory.resolve())
        suffix = "keras" if row["framework"] == "keras" else "safetensors"
        assert {path.name for path in model.directory.iterdir()} == {
            DESCRIPTION,
            WEIGHTS,
            f"model.{suffix}",
        }
        assert about.native == f"model.{suffix}"
    assert not list((trained / "runs" / "models").glob(".*"))


_PREDICT = """
    import sys
    from pathlib import Path
    import numpy as np
    from benchmarks.models import find

    name, directory, images, output = sys.argv[1:]
    pictures = np.load(images)
    arrays = {}
    for model in find(Path(directory)):
        arrays[model.about.run_id] = model.backend(name).predict(pictures)
    np.savez(output, **arrays)
"""


@pytest.mark.parametrize(
    "name",
    [
        *FRAMEWORKS,
        pytest.param("keras@torch", marks=pytest.mark.slow),
        pytest.param("keras@jax", marks=pytest.mark.slow),
    ],
)
def test_the_weights_of_every_framework_predict_the_same_in_any(trained, tmp_path, name) -> None:
    """Also those trained with another framework's own defaults, which only training uses."""
    np.save(tmp_path / "images.npy", pictures(trained))
    directory, output = str(trained / "runs" / "models"), str(tmp_path / "logits.npz")
    in_framework(
        name, _PREDICT, name, directory, str(tmp_path / "images.npy"), output, cwd=tmp_path
    )
    with np.load(output) as found:
        assert len(found.files) == 6
        for run_id, (rows, probabilities) in stored_probabilities(trained).items():
            np.testing.assert_allclose(softmax(found[run_id])[rows], probabilities, atol=2e-6)


_KERAS = """
    import sys
    import keras
    import numpy as np

    images, output, *paths = sys.argv[1:]
    assert not [name for name in sys.modules if name.startswith(("frameworks", "benchmarks"))]
    found = []
    for path in paths:
        model = keras.saving.load_model(path, safe_mode=True)
        types = {type(layer).__module__.split(".")[0] for layer in model.layers}
        assert types == {"keras"}, types
        found.append(model.predict(np.load(images), verbose=0))
    np.save(output, found)
"""


def test_a_keras_file_loads_without_this_project(trained, tmp_path) -> None:
    np.save(tmp_path / "images.npy", pictures(trained))
    found = [one for one in find(trained / "runs" / "models") if one.about.native.endswith("keras")]
    paths = [str((model.directory / model.about.native).resolve()) for model in found]
    in_framework("keras", _KERAS, "images.npy", "logits.npy", *paths, cwd=tmp_path, project=False)
    check_logits(trained, found, np.load(tmp_path / "logits.npy"))


def check_logits(trained, found, logits) -> None:
    """Raise AssertionError unless the models' logits give their stored probabilities."""
    assert len(found) == len(logits) == 2
    for model, of_all in zip(found, logits, strict=True):
        rows, probabilities = stored_probabilities(trained)[model.about.run_id]
        np.testing.assert_allclose(softmax(of_all)[rows], probabilities, atol=2e-6)


_TORCH = """
    import sys
    from pathlib import Path
    import numpy as np
    import torch
    from safetensors.torch import load_file
    from benchmarks.models import find
    from frameworks.torch.model import GalaxyNet

    images, output, *paths = sys.argv[1:]
    found = []
    for path in paths:
        (model,) = find(Path(path))
        native = model.about.config.parity == "native"
        network = GalaxyNet(model.network, native_dropout=native).eval()
        network.load_state_dict(load_file(model.directory / model.about.native), strict=True)
        with torch.inference_mode():
            found.append(network(torch.from_numpy(np.load(images))).numpy())
    np.save(output, found)
"""
_FLAX = """
    import sys
    from pathlib import Path
    import jax.numpy as jnp
    import numpy as np
    from flax import nnx
    from safetensors.flax import load_file
    from benchmarks.models import find
    from frameworks.flax.model import GalaxyNet

    images, output, *paths = sys.argv[1:]
    found = []
    for path in paths:
        (model,) = find(Path(path))
        native = model.about.config.parity == "native"
        options = {"dtype": jnp.float32, "param_dtype": jnp.float32, "draw": True}
        network = GalaxyNet(model.network, native_dropout=native, rngs=nnx.Rngs(1), **options)
        network.eval()
        arrays = load_file(model.directory / model.about.native)
        state = nnx.state(network, nnx.Any(nnx.Param, nnx.BatchStat))
        places = {".".join(map(str, place)): place for place, _ in nnx.to_flat_state(state)}
        assert set(places) == set(arrays)
        flat = [(places[name], nnx.Param(array)) for name, array in arrays.items()]
        nnx.update(network, nnx.from_flat_state(flat))
        found.append(np.asarray(network(np.load(images))))
    np.save(output, found)
"""


@pytest.mark.parametrize(("name", "code"), [("torch", _TORCH), ("jax", _FLAX)])
def test_safetensors_load_into_the_framework_s_own_module(trained, tmp_path, name, code) -> None:
    np.save(tmp_path / "images.npy", pictures(trained))
    found = [m for m in find(trained / "runs" / "models") if m.about.config.framework == name]
    paths = [str(model.directory.resolve()) for model in found]
    in_framework(name, code, "images.npy", "logits.npy", *paths, cwd=tmp_path)
    check_logits(trained, found, np.load(tmp_path / "logits.npy"))


def test_damage_and_absence_are_told(trained, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no saved models in .*--save-models"):
        find(tmp_path)
    original = find(trained / "runs" / "models")[0].directory
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in original.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (model,) = find(copy)
    content = bytearray((copy / WEIGHTS).read_bytes())
    content[300] ^= 1
    (copy / WEIGHTS).write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.npz"):
        model.weights()
    (copy / WEIGHTS).write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"weights\.npz: cannot be read as weights"):
        model.weights()
    (copy / DESCRIPTION).write_text('{"run_id": 3}')
    with pytest.raises(ValueError, match=r"model\.json: not the description of a saved model"):
        find(copy)


def test_a_model_of_a_newer_version_is_told(tmp_path) -> None:
    (original, *_) = sorted((ROOT / "tests/data/23b7b0d/runs/models").glob(f"*/{DESCRIPTION}"))
    said = json.loads(original.read_bytes())
    assert "format" not in said, "the earliest states none, and is read"
    assert len(find(original.parent)) == 1
    (tmp_path / DESCRIPTION).write_text(json.dumps(said | {"format": 2, "config": "of its own"}))
    with pytest.raises(ValueError, match=r"model.json was written by a newer version"):
        find(tmp_path)


def test_a_pickle_in_place_of_the_weights_is_not_read(trained, tmp_path) -> None:
    import pickle

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    original = find(trained / "runs" / "models")[0].directory
    (tmp_path / DESCRIPTION).write_bytes((original / DESCRIPTION).read_bytes())
    for content in (
        pickle.dumps(Trap()),
        _object_array(tmp_path, Trap()),
    ):
        (tmp_path / WEIGHTS).write_bytes(content)
        (model,) = find(tmp_path)
        with pytest.raises(ValueError, match="cannot be read"):
            model.weights()
        assert not (tmp_path / "sprung").exists()


def _object_array(directory: Path, value: object) -> bytes:
    np.savez(directory / "trap.npz", weights=np.array([value], dtype=object))
    return (directory / "trap.npz").read_bytes()


# ---- by the command, with a framework that is quick


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    fake_backend.install(tmp_path, monkeypatch)
    small_galaxies.enter(tmp_path, monkeypatch)
    (tmp_path / "linear.toml").write_text(fake_backend.ARCHITECTURE)
    return tmp_path


def run(*options: str) -> int:
    from benchmarks.run import main

    usual = ["--dataset", "galaxies.h5", "--architectures", "linear.toml", "--batch-size", "16"]
    usual += ["--epochs", "2", "--threads", "1", "--no-report", "--frameworks", "fake"]
    return main([*usual, *options])


def test_a_backend_without_a_format_of_its_own_saves_its_weights(work) -> None:
    assert run("--save-models", "kept/here") == 0
    assert run("--save-models", "kept/here") == 0  # in the place of the first
    (model,) = find(work / "kept" / "here")
    assert model.about.native == ""
    assert set(model.weights()) == {"dense1/kernel", "dense1/bias"}
    assert model.directory.name == saved.directory_name(model.about.config)
    assert [path.name for path in (work / "kept" / "here").iterdir()] == [model.directory.name]


def test_the_best_weights_are_saved_where_those_are_tested(work) -> None:
    (work / "mine.toml").write_text(
        'dataset = "galaxies.h5"\n[keep_best]\nmonitor = "validation_accuracy"\n'
    )
    warm = ("--warmup-epochs", "1")  # its times are facts of the run, none of the model
    assert run("--suite", "mine.toml", "--epochs", "6", "--save-models", *warm) == 0
    (model,) = find(work / "runs" / "models")
    (row,) = Store("runs").runs().to_dict("records")
    assert model.about.tested_epoch == row["tested_epoch"]
    assert model.about.epochs_trained == 6
    index, probabilities = stored_probabilities(work)[row["run_id"]]
    pixels = pictures(work)[index].reshape(len(index), -1) / 255
    weights = model.weights()
    logits = pixels @ weights["dense1/kernel"] + weights["dense1/bias"]
    np.testing.assert_allclose(softmax(logits), probabilities, atol=1e-6)


def test_a_directory_that_cannot_be_written_is_told_before_the_runs(work, capsys) -> None:
    assert run("--save-models", "galaxies.h5/below") == 2
    assert "error: cannot write models to" in capsys.readouterr().err
    assert Store("runs").files() == []


def test_a_model_that_cannot_be_written_does_not_undo_a_run(work, capfd, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.config.artifacts.check_writable", lambda directory: None)
    (work / "kept").write_text("a file")
    assert run("--save-models", "kept") == 0
    (row,) = Store("runs").runs().to_dict("records")
    assert row["status"] == "ok"
    assert "cannot save the model to" in json.loads(row["extra"])["model_error"]
    assert "warning: cannot save the model to" in capfd.readouterr().err


def test_weights_of_another_network_are_refused(trained, tmp_path) -> None:
    one, other = (
        next(m for m in find(trained / "runs" / "models") if m.about.config.framework == name)
        for name in ("torch", "jax")
    )
    weights = {f"other/{key}": array for key, array in other.weights().items()}
    about = json.loads((one.directory / DESCRIPTION).read_text())
    from frameworks.spec import weights as canonical

    about["weights_sha256"] = canonical.sha256(weights)
    (tmp_path / DESCRIPTION).write_text(json.dumps(about))
    canonical.save(tmp_path / WEIGHTS, weights)
    (model,) = find(tmp_path)
    with pytest.raises(SpecificationError, match="weights lack conv1/kernel"):
        model.weights()
