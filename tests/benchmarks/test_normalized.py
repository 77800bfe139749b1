"""A network that normalises by the training galaxies: the numbers, and where they are stored."""

from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest

from benchmarks.config.matrix import matrix
from benchmarks.config.suite import Suite
from benchmarks.data.statistics import statistics
from benchmarks.run import main
from frameworks.spec.architecture import parse
from frameworks.spec.defaults import fill_architecture
from frameworks.spec.normalization import STAND_IN, normalized_by
from frameworks.spec.reading import SpecificationError
from results.store import Store
from tests.benchmarks.test_data_view import dataset, staged
from tests.helpers.fake_backend import command

NETWORK = """
layers = [
  {type = "normalize"},
  {type = "flatten"},
  {type = "dropout", rate = 0.25},
  {type = "dense", units = "classes"},
]
"""


@pytest.mark.parametrize("augmentation", ["none", "dihedral", "crops40"])
def test_they_are_those_of_the_training_galaxies_alone(tmp_path, augmentation) -> None:
    data = dataset()
    data.images[..., 1] //= 3
    galaxies, found = staged(tmp_path, Suite(augmentation=augmentation), data)
    trained = np.unique(found.split.train // found.copies.count)
    values = data.images[trained].astype(np.float64) / 255
    mean, deviation = statistics(galaxies)
    np.testing.assert_allclose(mean, values.mean(axis=(0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(deviation, values.std(axis=(0, 1, 2)), rtol=1e-11)
    assert len(trained) < len(data.images)


def test_a_run_holds_the_numbers_and_the_hash_of_what_was_asked(tmp_path) -> None:
    file = tmp_path / "open.toml"
    file.write_text(NETWORK)
    galaxies, _ = staged(tmp_path, Suite(), dataset())
    suite = Suite(frameworks=("torch",), architectures=(str(file),), batch_size=(16,))
    given = statistics(galaxies)
    (run,) = matrix(
        suite, galaxies.view, galaxies.sizes, devices={}, threads=1, statistics=lambda: given
    )
    first = msgspec.to_builtins(run.config.architecture)["layers"][0]
    assert (tuple(first["mean"]), tuple(first["deviation"])) == given
    asked = parse(NETWORK, origin="a", default_name="open")
    assert run.architecture_hash == asked.sha256()


def test_galaxies_are_looked_at_only_where_a_network_asks(tmp_path) -> None:
    galaxies, _ = staged(tmp_path, Suite(), dataset(side=28))

    def never() -> None:
        raise AssertionError("looked at")

    suite = Suite(frameworks=("torch",), architectures=("c1",), batch_size=(16,))
    matrix(suite, galaxies.view, galaxies.sizes, devices={}, threads=1, statistics=never)  # type: ignore[arg-type]


def test_without_galaxies_there_is_a_stand_in_and_stated_numbers_stay() -> None:
    filled = fill_architecture(parse(NETWORK, origin="a", default_name="a")).layers[0]
    assert (filled.mean, filled.deviation) == STAND_IN  # type: ignore[union-attr]
    text = NETWORK.replace('"normalize"', '"normalize", mean = [0.5], deviation = [0.125]')
    stated = parse(text, origin="a", default_name="a")
    assert normalized_by(stated, STAND_IN) is stated


def test_a_channel_of_one_value_is_refused() -> None:
    asked = parse(NETWORK, origin="a", default_name="a")
    with pytest.raises(SpecificationError, match="'a': normalize: channel 1 of the training galax"):
        normalized_by(asked, ((0.5, 0.5), (0.1, 0.0)))
    half = NETWORK.replace('"normalize"', '"normalize", mean = [0.5]')
    with pytest.raises(SpecificationError, match=r"deviation.*has 0 values, mean has 1"):
        parse(half, origin="a", default_name="a")


def test_a_session_computes_them(work, capsys) -> None:
    Path("open.toml").write_text(NETWORK)
    asked = command(frameworks=("torch",))
    asked[asked.index("linear.toml")] = "open.toml"
    assert main(asked) == 0
    (run,) = Store("runs").runs().to_dict("records")
    assert run["status"] == "ok"
    layer = msgspec.json.decode(run["config"])["architecture"]["layers"][0]
    with h5py.File("galaxies.h5") as file:
        rough = file["images"][()].mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(layer["mean"], rough, rtol=0.1)
