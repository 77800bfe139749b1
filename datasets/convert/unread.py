"""Forms that are not read: how each becomes one that is, as the end of a message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from datasets.convert import encoded, fits

_PICKLE = "{kind} may run any code when it is opened, so we open none; where you trust it, {code}"
_SAVE = "np.savez('galaxies.npz', images=images, labels=labels)"
_UNPACK = "an archive; unpack it ({code}), and name the folder"
_BYTES = "numbers without names; read them as their maker says, and save them: " + _SAVE
_ARROW = "an Arrow file; save it as Parquet: {code}"
# By the end of a file's name, longer ends first.
_FILES = {
    (".pkl", ".pickle", ".p", ".joblib"): _PICKLE.format(kind="a pickle", code=_SAVE),
    (".pt", ".pth", ".ckpt"): _PICKLE.format(
        kind="a file of torch.save", code=_SAVE + ", of x = torch.load(...)[...].numpy()"
    ),
    (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"): _UNPACK.format(
        code="tar xf {name}"
    ),
    (".tar.zst", ".7z", ".rar"): _UNPACK.format(code="7z x, unrar x or tar xf {name}"),
    (".gz", ".bz2", ".xz", ".zst"): "compressed; unpack it (gunzip, bunzip2, unxz or unzstd)",
    (".arrow",): _ARROW.format(
        code="datasets.Dataset.from_file('{name}').to_parquet('galaxies.parquet')"
    ),
    (".feather",): _ARROW.format(
        code="pandas.read_feather('{name}').to_parquet('galaxies.parquet')"
    ),
    (".bin", ".dat", ".raw", "-ubyte"): _BYTES,
    (".mdb", ".lmdb"): "a database (LMDB); write each of its pictures as a file, and name the "
    "folder",
    (".xlsx", ".xls", ".ods"): "a table of a spreadsheet; save it as CSV beside the pictures",
    (".json", ".jsonl", ".xml", ".txt"): "no table; write one (.csv) with the name and the class "
    "of each picture beside the pictures",
    encoded.ENDINGS: "one picture; name the folder that has them and their labels",
    fits.ENDINGS: "one FITS file; name the folder that has them and their labels",
}
# What writes a table of labels as CSV; {name} is the file.
_TABLES = {
    (".xlsx", ".xls", ".ods"): "pandas.read_excel('{name}')",
    (".jsonl",): "pandas.read_json('{name}', lines=True)",
    (".parquet",): "pandas.read_parquet('{name}')",
    (".feather",): "pandas.read_feather('{name}')",
    (".dat", ".tbl", ".txt"): r"pandas.read_csv('{name}', sep=r'\s+')",
    fits.ENDINGS: "astropy.table.Table.read('{name}', character_as_bytes=False).to_pandas()",
}
_NO_TABLES = ("readme", "license", "licence", "requirements")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
_NAMED = 5


def of_file(path: Path) -> str:
    """The name of a form that is not read, with the remedy; "" for other files."""
    name = path.name.lower()
    fitting = [end for ends in _FILES for end in ends if name.endswith(end)]
    if not fitting:
        return ""
    longest = max(fitting, key=len)
    told = next(told for ends, told in _FILES.items() if longest in ends)
    return told.format(name=path.name)


def of_folder(names: Sequence[str]) -> str:
    """The same of a folder without pictures and arrays, by the names of its files."""
    last = {name.lower().rpartition("/")[2] for name in names}
    if last & {"zarr.json", ".zgroup", ".zarray", ".zattrs"}:
        return "a folder of Zarr; save its arrays: np.savez('galaxies.npz', images=..., labels=...)"
    if packed := [name for name in names if name.lower().endswith(_ARCHIVES)]:
        return (
            f"its pictures are packed; unpack {_listed(packed)} into one folder (unzip or tar "
            "xf), and name that"
        )
    kinds = {told: name for name in names if (told := of_file(Path(name)))}
    for told, name in kinds.items():
        if not name.lower().endswith((".json", ".txt", ".dat")):
            return f"{name} is {told}"
    return ""


def table(names: Iterable[str]) -> str:
    """The code that writes the table of labels beside pictures as CSV; "" without such a table."""
    for ends, code in _TABLES.items():
        for name in names:
            last = name.lower().rpartition("/")[2]
            if last.endswith(ends) and not last.startswith(_NO_TABLES):
                return f"{code.format(name=name)}.to_csv('labels.csv', index=False)"
    if any(name.lower().endswith(".cls") for name in names):  # of WebDataset, a file a picture
        return (
            "pandas.DataFrame([(f.stem, f.read_text()) for f in pathlib.Path('.').rglob('*.cls')], "
            "columns=['name', 'label']).to_csv('labels.csv', index=False)"
        )
    return ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)
