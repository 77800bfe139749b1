"""The sheet of draws, and the command that makes it."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from datasets.__main__ import main
from datasets.drawn.pixels import augmented
from datasets.drawn.text import from_text


@pytest.fixture
def galaxies(tmp_path: Path, monkeypatch) -> np.ndarray:
    monkeypatch.chdir(tmp_path)
    pictures = np.random.default_rng(0).integers(0, 256, (9, 40, 40, 3), dtype=np.uint8)
    with h5py.File("galaxies.h5", "w") as file:
        file["images"], file["ans"] = pictures, [0, 0, 0, 1, 1, 1, 2, 2, 2]
    return pictures


def test_a_sheet_shows_what_a_run_draws(galaxies, capsys) -> None:
    asked = "flip,rotation=90,crop=32"
    options = ["--augment", asked, "--galaxies", "4", "--epochs", "2", "--seed", "5"]
    assert main(["augment", "galaxies.h5", "draws.png", *options]) == 0
    assert "4 galaxies of galaxies, a row each" in capsys.readouterr().out
    with Image.open("draws.png") as picture:
        shown = np.asarray(picture)
    side = 3 * 32  # enlarged to 96 pixels
    assert shown.shape == (4 * side + 3 * 4, 3 * side + 2 * 4, 3)
    rows = np.array([0, 3, 6, 1])  # one of each class first
    columns = [galaxies[rows, 4:36, 4:36]]
    columns += [augmented(galaxies[rows], rows, from_text(asked), 5, epoch) for epoch in (1, 2)]
    for place in np.ndindex(4, 3):
        y, x = place[0] * (side + 4), place[1] * (side + 4)
        found = shown[y : y + side : 3, x : x + side : 3]
        np.testing.assert_array_equal(found, columns[place[1]][place[0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("galaxies.h5", "a.png", "--augment", "rotatoin=3"), "did you mean 'rotation'"),
        (("galaxies.h5", "a.png", "--augment", "crop=41"), "crop is 41 pixels, and the pictures"),
        (("absent.h5", "a.png", "--augment", "flip"), "absent.h5"),
    ],
)
def test_what_cannot_be_drawn_is_one_message(galaxies, capsys, arguments, message) -> None:
    assert main(["augment", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("a.png").exists()
