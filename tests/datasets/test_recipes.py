"""The public files of a recipe are known by themselves, as a source and as a data set."""

from pathlib import Path

from PIL import features

from datasets import catalog
from datasets.__main__ import main
from datasets.convert.recipes import recipe_of
from tests.datasets.test_convert import TYPES, folder  # noqa: F401 (a fixture)
from tests.helpers import sources


def test_a_folder_is_known_and_made_by_its_recipe(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    recipe = recipe_of(folder)
    assert recipe is not None
    assert recipe.name == "efigi"
    assert main(["convert", str(folder), str(tmp_path / "made.h5")]) == 0
    made = catalog.load(tmp_path / "made.h5")
    direct = catalog.load(folder, cache_dir=tmp_path / "cache")
    assert direct.name == "efigi_t10_69px"
    assert direct.sha256 == made.sha256
    assert len(direct.labels) == len(TYPES)
    assert recipe_of(sources.table(tmp_path)) is None


def test_the_public_zip_file_is_the_published_data_set(galaxy_files: Path, tmp_path: Path) -> None:
    source = galaxy_files / "efigi_88px_jpg.zip"
    direct = catalog.load(source, cache_dir=tmp_path, labels="hubble", fraction=0.1)
    assert direct.class_names == ("E", "S0", "Sp", "Irr")
    published = catalog.load(galaxy_files / "efigi_t10_69px.h5", labels="hubble", fraction=0.1)
    if features.check("libjpeg_turbo"):  # other decoders may round
        assert direct.sha256 == published.sha256
    assert direct.name == published.name
