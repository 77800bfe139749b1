"""Feature maps: what is drawn is what the layers give, side by side, with one scale."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
import pytest

from benchmarks.models import feature_maps as computing
from benchmarks.models.saved import DESCRIPTION, find
from report import feature_maps as drawing
from report.__main__ import main as report
from report.figures import style
from tests.conftest import ROOT
from tests.helpers.small_galaxies import FRAMEWORKS


@pytest.fixture(scope="module")
def computed(trained, tmp_path_factory) -> dict[str, drawing.Maps]:
    """The maps of the saved networks for galaxy 7, matched and native, by name."""
    output = tmp_path_factory.mktemp("maps")
    options = ["--models", str(trained / "runs" / "models"), "--galaxy", "7"]
    assert computing.main([*options, "--output", str(output)]) == 0
    return {path.stem: drawing.read(path) for path in sorted(output.glob("*.npz"))}


def test_maps_are_those_of_the_layers(trained, computed) -> None:
    assert set(computed) == {"small-galaxies-seed0", "small-galaxies-seed0-native"}
    maps = computed["small-galaxies-seed0"]
    with h5py.File(trained / "galaxies.h5") as file:
        picture = file["images"][7]
    assert (maps.picture == picture).all()
    assert list(maps.of) == list(FRAMEWORKS)
    assert maps.facts["label"] == "class 1"
    models = {m.about.run_id: m for m in find(trained / "runs" / "models")}
    for name, layers in maps.of.items():
        told = maps.facts["frameworks"][name]
        model = models[told["run_id"]]
        assert model.about.config.framework == name
        assert model.about.config.parity == "matched"
        assert told["tested_epoch"] == 2
        assert layers["conv1"].shape == (8, 8, 4)
        assert layers["conv2"].shape == (3, 3, 6)
        # by hand: a 3x3 convolution with bias and ReLU on the scaled picture
        weights = model.weights()
        windows = np.lib.stride_tricks.sliding_window_view(picture / 255, (3, 3), axis=(0, 1))
        expected = np.einsum("hwcij,ijco->hwo", windows, weights["conv1/kernel"])
        expected = np.maximum(expected + weights["conv1/bias"], 0)
        np.testing.assert_allclose(layers["conv1"], expected, atol=1e-6)


def test_with_equal_weights_only_rounding_is_between_them(computed) -> None:
    """Also with weights that were trained under one framework's own defaults."""
    for maps in computed.values():
        assert maps.facts["weights_of"] == "keras"
        for layer in ("conv1", "conv2"):
            apart = maps.facts["differences"][layer]
            assert set(apart) == {"torch", "jax"}
            assert all(0 <= value < 1e-5 for value in apart.values())
    native = computed["small-galaxies-seed0-native"]
    own = [native.of[name]["conv1"] for name in ("torch", "jax")]
    assert np.abs(own[0] - own[1]).max() > 1e-3  # their own initial weights


def test_difference_is_relative_to_the_largest_value() -> None:
    assert computing.difference(np.array([1.0, 3.5]), np.array([1.0, 4.0])) == 0.125
    assert computing.difference(np.array([0.25]), np.array([0.0])) == 0.25


@pytest.mark.parametrize(
    ("count", "columns"), [(32, 8), (64, 8), (128, 16), (6, 3), (1, 1), (7, 3), (13, 4)]
)
def test_tiles_are_in_full_rows_where_that_can_be(count: int, columns: int) -> None:
    assert drawing.columns_for(count) == columns
    maps = np.arange(5 * 4 * count, dtype=np.float32).reshape(5, 4, count)
    picture = drawing.tiled(maps)
    assert np.isfinite(picture).sum() == maps.size
    gap = 1
    row, column = divmod(count - 1, columns)
    top, left = row * (5 + gap), column * (4 + gap)
    assert (picture[top : top + 5, left : left + 4] == maps[:, :, -1]).all()


def test_panels_share_one_scale_and_the_caption_says_what_is_shown(computed) -> None:
    maps = computed["small-galaxies-seed0"]
    with mpl.rc_context(style.RC):
        figure = drawing.figure(maps, "conv1")
    limits = {
        image.get_clim() for axes in figure.axes for image in axes.images if axes.get_xlabel()
    }
    assert len(limits) == 1
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "PyTorch, epoch 2" in titles
    text = " ".join(" ".join(one.get_text() for one in figure.texts).split())
    assert "small, conv1: 4 maps of 8x8 pixels" in text
    assert "Galaxy 7 of galaxies (labelled class 1)" in text
    assert "DEMO" not in text
    assert "Given the same weights" in text


def test_the_command_draws_every_layer_and_imports_no_framework(trained, tmp_path) -> None:
    code = (
        "import sys\nfrom report.__main__ import main\nstatus = main(sys.argv[1:])\n"
        "print('LOADED', status, *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    options = ["--models", str(trained / "runs" / "models"), "--output", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", code, "feature-maps", *options, "--frameworks", "torch"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.partition("LOADED ")[2].split()
    assert loaded[0] == "0"
    assert not set(loaded) & {"keras", "tensorflow", "torch", "jax", "flax", "optax", "benchmarks"}
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"small-galaxies-seed0{suffix}-{layer}.{kind}"
        for suffix in ("", "-native")
        for layer in ("conv1", "conv2")
        for kind in ("png", "pdf")
    }
    assert "conv2.png" in done.stdout


BAD = {
    "no models": (["--models", "nowhere"], "no saved models in nowhere"),
    "galaxy beyond the end": (["--galaxy", "90"], "--galaxy 90: galaxies has 90 galaxies, 0 to 89"),
    "negative galaxy": (["--galaxy", "-1"], "--galaxy -1"),
    "unknown framework": (["--frameworks", "tortch"], "(did you mean 'torch'?)"),
    "unknown architecture": (["--architectures", "smal"], "(did you mean 'small'?)"),
    "unknown seed": (["--seed", "5"], "no saved model of seed '5'"),
    "missing data set": (["--dataset", "missing.h5"], "missing.h5"),
    "pictures too small": (["--dataset", "tiny.h5"], "pictures of 4x4x3"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_exit_status_2(trained, tmp_path, capfd, case, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("tiny.h5", "w") as file:
        pictures = np.arange(6 * 4 * 4 * 3, dtype=np.uint16).reshape(6, 4, 4, 3) % 251
        file["images"], file["ans"] = pictures.astype(np.uint8), np.arange(6) % 2
    options, message = BAD[case]
    models = [] if "--models" in options else ["--models", str(trained / "runs" / "models")]
    run = report if case == "no models" else computing.main  # the one passes all on to the other
    command = ["feature-maps"] if case == "no models" else ["--output", "out"]
    assert run([*command, *models, *options]) == 2
    errors = capfd.readouterr().err
    assert message in errors
    assert errors.startswith("error: ")
    assert "Traceback" not in errors
    assert not Path("report-out").exists()


def changed(trained: Path, directory: Path, change) -> list[str]:
    """A copy of one model whose description is changed."""
    original = next(
        m for m in find(trained / "runs" / "models") if m.about.config.framework == "torch"
    ).directory
    for path in original.iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    about = json.loads((directory / DESCRIPTION).read_text())
    change(about)
    (directory / DESCRIPTION).write_text(json.dumps(about))
    return ["--models", str(directory), "--output", str(directory / "out")]


def test_a_framework_that_is_not_installed_is_told(trained, tmp_path, capsys, monkeypatch) -> None:
    from frameworks import backend
    from tests.helpers.fake_backend import Fakes

    monkeypatch.setattr(
        backend, "frameworks", lambda: {"fake-absent": Fakes.absent, "torch": Fakes.works}
    )

    def change(about: dict) -> None:
        about["config"]["framework"] = "fake-absent"

    assert computing.main(changed(trained, tmp_path, change)) == 2
    errors = capsys.readouterr().err
    assert "fake-absent is not installed here: it needs no_such_package_anywhere" in errors
    assert "--frameworks" in errors


def test_other_galaxies_than_trained_on_are_told(trained, tmp_path, capsys) -> None:
    def change(about: dict) -> None:
        about["config"]["data"]["sha256"] = "0" * 64

    options = changed(trained, tmp_path, change)
    assert computing.main(options) == 2
    assert "are not those that" in capsys.readouterr().err
    assert computing.main([*options, "--dataset", str(trained / "galaxies.h5")]) == 0


def test_a_framework_that_fails_says_how(trained, tmp_path, capsys) -> None:
    def change(about: dict) -> None:
        about["weights_sha256"] = "0"

    assert computing.main(changed(trained, tmp_path, change)) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: torch could not compute its maps")
    assert "is not what was saved" in errors
