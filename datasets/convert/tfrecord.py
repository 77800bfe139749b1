"""TFRecord with encoded pictures, read by TensorFlow where that is installed."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from datasets.convert.bad import Bad
from datasets.convert.classes import natural
from datasets.convert.encoded import EncodedPictures
from datasets.convert.fitting import Fit
from datasets.convert.form import Asked, Form, Rows, keep_parts_of_shards
from results.door import sizes
from results.door.apart import alive
from results.door.refusal import reading, regular
from results.vocabulary import near_miss

ENDINGS = (".tfrecord", ".tfrecords")
_WHAT = "a TFRecord file"
_PICTURES = ("image", "image_raw", "image/encoded", "picture", "img")
_LABELS = ("label", "image/class/label", "class", "labels", "target")


def is_tfrecord(name: str) -> bool:
    """True if a file of this name is TFRecord (shards are named x.tfrecord-00000-of-00002)."""
    return name.lower().endswith(ENDINGS) or ".tfrecord-" in name.lower()


def open_tfrecord(path: Path, asked: Asked) -> Form:
    """The form of a TFRecord file of Examples, or of all those in a folder.

    Raises:
        ValueError, OSError: TensorFlow is not installed, the file is damaged, or features that
            cannot be told apart.
    """
    tensorflow = _tensorflow(path)
    found = (
        [file for file in path.rglob("*") if is_tfrecord(file.name)] if path.is_dir() else [path]
    )
    files = sorted(found, key=lambda file: natural(str(file)))
    first = next(_examples(tensorflow, files[:1]), None)
    if first is None:
        raise ValueError(f"{path}: has no record")
    kinds = {name: value.WhichOneof("kind") for name, value in first.features.feature.items()}
    encoded = [name for name, kind in kinds.items() if kind == "bytes_list"]
    picture = _chosen(asked.image_key, encoded, _PICTURES, "image-key", kinds, path)
    others = [name for name, kind in kinds.items() if name != picture and kind]
    label = _chosen(asked.label_key, others, _LABELS, "label-key", kinds, path)
    shards = [[_label(one, label) for one in _examples(tensorflow, [file])] for file in files]
    labels = [one for shard in shards for one in shard]
    names = [f"record {number}" for number in range(len(labels))]
    numeric = all(one is None or isinstance(one, int | float) for one in labels)
    values = (
        np.array([np.nan if one is None else float(one) for one in labels])
        if numeric
        else np.array(labels, dtype=object)
    )
    rows = Rows(names, values)
    rows.done.append(f"pictures in feature '{picture}', labels in '{label}'")
    bad = Bad()
    keep_parts_of_shards(rows, files, path, [len(shard) for shard in shards], bad)

    def contents() -> Iterator[tuple[int, str, Callable[[], IO[bytes]] | None]]:
        for row, example in enumerate(_examples(tensorflow, files)):
            kept = example.features.feature[picture].bytes_list.value
            yield row, names[row], partial(io.BytesIO, kept[0]) if kept else None

    return Form(str(path), rows, EncodedPictures(contents, Fit(asked.crop, asked.size)), bad)


def _tensorflow(path: Path) -> Any:
    try:
        import tensorflow
    except ImportError as error:
        raise ValueError(
            f"{path}: TFRecord is read by TensorFlow: pip install -c constraints.txt -r "
            "requirements/keras.txt"
        ) from error
    return tensorflow


def _examples(tensorflow: Any, files: Sequence[Path]) -> Iterator[Any]:
    """Every record as a `tf.train.Example`."""
    for file in files:
        packed = "GZIP" if _is_packed(file) else ""
        records = iter(tensorflow.data.TFRecordDataset(str(file), packed))
        while True:
            with reading(file, "records of tf.train.Example", "get it again"):
                record = next(records, None)
                if record is None:
                    break
                example = tensorflow.train.Example.FromString(record.numpy())
            alive()
            yield example


def _is_packed(file: Path) -> bool:
    """True if a file is packed by gzip. Packed or not, it must consist of whole records.

    Raises:
        FileError: its end is missing, or a record is too large to be unpacked whole.
    """
    size = regular(file, _WHAT)
    with reading(file, _WHAT, "get it again"), file.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        with gzip.open(stream) if packed else stream as records:
            # 8 bytes of length, 4 of its checksum, the record, 4 of its checksum
            while start := records.read(8):
                alive()
                length = int.from_bytes(start, "little")
                if packed:
                    sizes.check_whole(length, size, "a record")
                end = records.tell() + length + 8
                records.seek(end - 1)
                if len(start) < 8 or not records.read(1):
                    raise ValueError("its end is missing, or it is damaged")
    return packed


def _chosen(
    asked: str,
    found: Sequence[str],
    usual: Sequence[str],
    option: str,
    known: dict[str, str],
    path: Path,
) -> str:
    shown = ", ".join(f"{name} {kind}" for name, kind in known.items())[:300]
    if asked:
        if asked not in known:
            hint = near_miss(asked, known)
            raise ValueError(f"{path}: no feature '{asked}' (--{option}){hint}; it has {shown}")
        return asked
    named = [name for name in usual if name in found]
    if named:
        return named[0]
    if len(found) == 1:
        return found[0]
    raise ValueError(f"{path}: name the feature with --{option}; it has {shown}")


def _label(example: Any, name: str) -> int | float | str | None:
    value = example.features.feature[name]
    kind = value.WhichOneof("kind")
    kept: Any = getattr(value, kind).value if kind else ()
    one = next(iter(kept), None)
    return one.decode("utf-8", "replace") if isinstance(one, bytes) else one
