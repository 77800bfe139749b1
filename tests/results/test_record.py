"""What may go into the store: checked values in, equal values out."""

import datetime
import json
import math
import tempfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results import schema
from results.parquet.record import FILE_SCHEMA, arrow_type, record
from results.parquet.values import limits
from results.store import Store
from results.task import OF_STORED, stored, task_id
from tests.helpers.factory import synthetic_run

text = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = {
    "string": text,
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(),
    "bool": st.booleans(),
    "list<string>": st.lists(text, max_size=4),
    "list<int64>": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    "list<float>": st.lists(st.floats(width=32), max_size=4),
    "timestamp[us, UTC]": st.datetimes(
        datetime.datetime(1970, 1, 2),
        datetime.datetime(2200, 1, 1),
        timezones=st.timezones(),
        allow_imaginary=False,
    ),
    "json": st.dictionaries(text, st.integers() | text, max_size=3),
}


def possible(column: schema.Column) -> st.SearchStrategy:
    """What a stored row may have in a column."""
    within, kind = limits(column), column.type
    if within is None:
        return VALUES["json" if column.json else kind]
    numbers = (st.floats if kind == "double" else st.integers)(*within)
    return st.lists(numbers, max_size=4) if kind.startswith("list") else numbers


def rows(columns: tuple[schema.Column, ...], table: str) -> st.SearchStrategy[dict]:
    required = set(schema.REQUIRED[table])
    fixed = {"schema_version": st.just(schema.SCHEMA_VERSION)}
    fixed["status"] = st.sampled_from(schema.STATUSES)
    fixed["run_id"] = fixed["execution_id"] = st.from_regex(r"\A[a-z0-9]{1,12}\Z")
    values = {column.name: fixed.get(column.name, possible(column)) for column in columns}
    values = {
        name: strategy.filter(bool) if name in required and name in ("split",) else strategy
        for name, strategy in values.items()
    }
    return st.fixed_dictionaries(
        {name: values[name] for name in values if name in required},
        optional={name: st.none() | values[name] for name in values if name not in required},
    )


def same(given: object, read: object) -> bool:
    if given is None:
        return bool(pd.isna(read))
    if isinstance(given, float) and math.isnan(given):
        return bool(pd.isna(read))
    if isinstance(given, dict):
        return json.loads(str(read)) == given
    if isinstance(given, datetime.datetime):
        # in an hour that comes twice no time equals one of another zone (PEP 495)
        return bool(read == given.astimezone(datetime.UTC))
    if isinstance(given, list):
        return len(given) == len(read) and all(map(same, given, read))
    return bool(given == read)


@settings(max_examples=20, deadline=None)
@given(
    run=rows(schema.RUN_COLUMNS, "runs"),
    epochs=st.lists(rows(schema.EPOCH_COLUMNS, "epochs"), max_size=4),
    predictions=st.lists(rows(schema.PREDICTION_COLUMNS, "predictions"), max_size=4),
)
def test_round_trip(run: dict, epochs: list[dict], predictions: list[dict]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = Store(directory)
        store.append(run, epochs, predictions)
        read = store.runs().iloc[0]
        for column in schema.RUN_COLUMNS:
            expected = run.get(column.name)
            if column.name == "task_id" and expected is None:
                expected = task_id(stored(*(run.get(name) for name in OF_STORED)))
            if column.name == "schema_version":
                expected = schema.SCHEMA_VERSION
            if column.name == "class_names" and expected is not None:
                fits = run.get("classes") in (None, len(expected))
                expected = expected if fits else None
            if column.type.startswith("list") and expected is None:
                assert read[column.name] is None
            else:
                assert same(expected, read[column.name]), column.name
        for frame, given_rows in ((store.epochs(), epochs), (store.predictions(), predictions)):
            assert len(frame) == len(given_rows)
            for one, expected in zip(frame.to_dict("records"), given_rows, strict=True):
                for name, value in expected.items():
                    if value is None and name == "probabilities":
                        assert one[name] is None
                    else:
                        assert same(value, one[name]), name
                assert one["run_id"] == run["run_id"]


def test_every_column_has_a_type_and_a_meaning() -> None:
    groups = (
        schema.RUN_COLUMNS + schema.DERIVED_COLUMNS,
        schema.EPOCH_COLUMNS,
        schema.PREDICTION_COLUMNS,
    )
    for columns in groups:
        names = [column.name for column in columns]
        assert len(set(names)) == len(names)
        for column in columns:
            assert arrow_type(column.type) is not None
            assert column.meaning
    assert len(FILE_SCHEMA) == len(schema.RUN_COLUMNS) + 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"framwork": "keras"}, "runs: unknown column 'framwork' (did you mean 'framework'"),
        ({"threads": 1.5}, "column 'threads': expected int64, got 1.5"),
        ({"threads": True}, "column 'threads': expected int64, got True"),
        ({"threads": 2**63}, "column 'threads': expected int64"),
        ({"learning_rate": "1e-3"}, "column 'learning_rate': expected double, got '1e-3'"),
        ({"dirty": 1}, "column 'dirty': expected bool, got 1"),
        ({"class_names": "abc"}, "column 'class_names': expected list<string>"),
        ({"class_counts": [1, 2.5]}, "column 'class_counts': expected int64, got 2.5"),
        ({"config": "{broken"}, "column 'config': not JSON"),
        ({"machine": {"a": {1, 2}}}, "column 'machine': not JSON"),
        ({"started_at": datetime.datetime(2026, 1, 1)}, "has no time zone"),
        ({"status": "fine"}, "status is 'fine', expected one of ok, diverged"),
        ({"run_id": None}, "column 'run_id' is missing"),
        ({"schema_version": 99}, "schema_version is 99"),
    ],
)
def test_a_wrong_run_is_refused_by_name(change: dict, message: str) -> None:
    run, epochs, predictions = synthetic_run(**change)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        record(run, epochs, predictions)
    assert message in str(caught.value)


def test_a_wrong_epoch_or_prediction_is_refused_by_name() -> None:
    run, epochs, predictions = synthetic_run()
    with pytest.raises(ValueError, match="epochs row 2: unknown column 'los'"):
        record(run, [*epochs[:2], {"epoch": 1, "split": "train", "los": 1.0}], [])
    with pytest.raises(ValueError, match="epochs row 0: run_id is 'other'"):
        record(run, [{**epochs[0], "run_id": "other"}], [])
    with pytest.raises(ValueError, match="predictions row 1: column 'label' is missing"):
        record(run, [], [predictions[0], {**predictions[1], "label": None}])


def test_numpy_values_are_taken_and_lone_surrogates_do_not_lose_the_run() -> None:
    run, *_ = synthetic_run(
        batch_size=np.int32(5),
        learning_rate=np.float32(0.5),
        dirty=np.bool_(True),
        class_counts=np.array([1, 2]),
        log="bad byte \udcff here",
    )
    table = record(run, [{"epoch": np.int64(1), "split": "train", "loss": np.float64(1)}], [])
    row = table.to_pylist()[0]
    assert row["batch_size"] == 5
    assert row["learning_rate"] == 0.5
    assert row["dirty"] is True
    assert row["class_counts"] == [1, 2]
    assert row["log"] == "bad byte ? here"
