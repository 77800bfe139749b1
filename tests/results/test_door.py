"""Damaged and foreign files: what can be read is read, the rest is named in one line."""

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.__main__ import main
from results.door import arrays
from results.door.documents import MOST_TOML, json_file, toml_file
from results.door.refusal import FileError, content
from results.parquet import examples
from results.store import DamagedFileWarning, Store
from tests.helpers.factory import synthetic_run


def append(store: Path, seed: int) -> Path:
    """A run of the store."""
    made = synthetic_run(seed=seed)
    return Store(store).append(*made) if isinstance(made, tuple) else Store(store).append(made)


def changed(path: Path, name: str, change: Callable[[pa.ChunkedArray], pa.Array]) -> None:
    """Give a file of the store a column of another type."""
    table = pq.read_table(path)
    place = table.column_names.index(name)
    pq.write_table(table.set_column(place, name, change(table[name])), path)


CASTABLE: dict[str, tuple[str, Callable]] = {
    "seed as text": ("seed", lambda column: column.cast(pa.string())),
    "an accuracy that is whole": ("test_accuracy", lambda column: pa.array([1])),
    "a framework as dictionary": ("framework", lambda column: column.dictionary_encode()),
    "text as pandas writes it": ("architecture", lambda column: column.cast(pa.large_string())),
    "nothing": ("reason", lambda column: pa.nulls(1)),
    "a large list": ("class_names", lambda column: column.cast(pa.large_list(pa.large_string()))),
    "a list of whole floats": ("class_counts", lambda c: pa.array([[1.0, 2.0]])),
}


@pytest.mark.parametrize("case", CASTABLE)
def test_a_column_of_another_type_is_converted(case: str, tmp_path: Path) -> None:
    append(tmp_path, 0)
    name, change = CASTABLE[case]
    changed(append(tmp_path, 7), name, change)
    runs = Store(tmp_path).runs()
    assert runs["seed"].tolist() == [0, 7]
    assert Store(tmp_path).epochs()["run_id"].nunique() == 2
    assert runs.dtypes.equals(Store(tmp_path).runs(latest=True).dtypes)


FOREIGN: dict[str, tuple[str, Callable]] = {
    "a word as seed": ("seed", lambda column: pa.array(["first"])),
    "half a seed": ("seed", lambda column: pa.array([0.5])),
    "a flag as epochs": ("epochs", lambda column: pa.array([True])),
    "no run_id": ("run_id", lambda column: pa.nulls(1, pa.string())),
    "epochs that are no list": ("epoch_rows", lambda column: pa.array([1])),
    "a config that is no JSON": ("config", lambda column: pa.array(["{"])),
    "a machine that is a list": ("machine", lambda column: pa.array(["[1]"])),
    "an accuracy above 1": ("test_accuracy", lambda column: pa.array([1.5])),
    "an accuracy without end": ("test_accuracy", lambda column: pa.array([float("inf")])),
    "seconds below 0": ("train_seconds", lambda column: pa.array([-1.0])),
    "counts below 0": ("class_counts", lambda column: pa.array([[1, -1]])),
    "bytes that are no text": ("dataset", lambda _: pa.array([b"\xff"]).view(pa.string())),
    "an epoch of no part": (
        "epoch_rows",
        lambda column: pa.array(
            [[row | {"split": None} for row in column[0].as_py()]], column.type
        ),
    ),
    "JSON without a bottom": ("extra", lambda column: pa.array(["[" * 100_000])),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_file_that_cannot_be_converted_is_named_and_the_rest_is_read(
    case: str, tmp_path: Path
) -> None:
    append(tmp_path, 3)
    name, change = FOREIGN[case]
    path = append(tmp_path, 7)
    changed(path, name, change)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        runs = Store(tmp_path).runs()
        epochs = Store(tmp_path).epochs() if name == "epoch_rows" else runs
    assert 3 in runs["seed"].tolist()
    assert len(epochs)
    assert {one.category for one in told} == {DamagedFileWarning}
    assert all(path.name in str(one.message) for one in told)
    assert all(name in str(one.message) or "UTF8" in str(one.message) for one in told)
    assert all(len(str(one.message)) < 600 for one in told)


def test_a_store_of_damaged_files_alone_says_so(tmp_path: Path, capsys) -> None:
    path = append(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:200])
    assert main(["show", "--store", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert path.name in printed
    assert "Traceback" not in printed
    assert printed.count("\n") <= 3


def test_an_array_larger_than_its_file_is_never_made(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
        member.write(bytes(80))
    with pytest.raises(FileError, match=r"a\.npz: .*shape \(1000000000000,\)"):
        arrays.archive(path, "weights")
    kept = {"scalar": np.float32(3), "empty": np.empty((0, 4)), "f": np.asfortranarray(np.eye(3))}
    np.savez_compressed(path, **kept)
    found = arrays.archive(path, "weights")
    for name, values in kept.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == np.asarray(values).dtype


def test_a_damaged_picture_beside_the_runs_is_skipped(tmp_path: Path) -> None:
    made = examples.Examples(
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(1, int),
        ("a",),
        "../../x",
        "0" * 64,
        "native",
        "rgb",
    )
    path = examples.save(tmp_path, made)
    assert path.parent == tmp_path / "examples"
    good = path.read_bytes()
    assert [one.dataset for one in examples.load(tmp_path)] == ["../../x"]
    for place in range(0, len(good), 37):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            examples.load(tmp_path)
        assert all(path.name in str(one.message) for one in told)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = " + "[" * 2000, "nested too deeply|not valid TOML"),
        ("a = " + "9" * 5000, "too long"),
        ("[b]\na = [1, {c = 9223372036854775808}]", r"field 'b\.a\[1\]\.c'.*64 bits"),
        ("a = 1\na = 2", "not valid TOML"),
        ("#" * (MOST_TOML + 1), "bytes"),
        ('[b]\na = ["x\\u0000"]', r"field 'b\.a\[0\]': no name has"),
        ("a" + ".a" * 100_000 + " = 1", "so many parts"),
        ("[" + '"a" . ' * 100_000 + "a]", "so many parts"),
    ],
)
def test_toml_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=rf"a\.toml: .*({message})") as told:
        toml_file(path, "TOML")
    assert len(str(told.value)) < 600


def test_json_is_typed_to_the_last_level(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    kind = dict[str, list[int]]
    for content_, message in (
        ("[" * 100_000, "Expected `object`, got `array`"),
        ('{"a": [1, "x"]}', r"field '\[\.\.\.\]\[1\]'|field"),
        ('{"a": 1}', "field"),
        ("{", "not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "field"),
    ):
        path.write_text(content_)
        with pytest.raises(FileError, match=message):
            json_file(path, kind, "numbers")
    path.write_text("[" * 100_000)
    with pytest.raises(FileError, match="nested too deeply"):
        json_file(path, object, "anything")
    path.write_text("[NaN]")  # as Python writes it
    assert np.isnan(json_file(path, list[float], "numbers")).all()
    path.write_text(json.dumps({"a": [1]}))
    assert json_file(path, kind, "numbers") == {"a": [1]}


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(FileError, match=path.name):
            content(path, "a file")
