"""Shapes of real code are read, or refused by name."""

from pathlib import Path

import pytest

from benchmarks.port.compare import EQUAL
from benchmarks.port.operation import PortError
from tests.benchmarks.port.conftest import Compared

PAIRS = [
    ("residual", "Residual"),
    ("excited", "Excited"),
    ("unet", "UNet"),
    ("reused", "Reused"),
    ("lenet", "LeNet"),
    ("subclassed", "Subclassed"),
]


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_equal_networks_of_any_shape_are_equal(one: str, other: str, compared: Compared) -> None:
    size = {"size": [8, 8, 3]} if one == "subclassed" else {}
    found = compared(f"shapes_keras.py:{one}", f"shapes_torch.py:{other}", **size)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert not found.unread
    assert max(found.measured.values()) < 1e-9


@pytest.mark.slow
@pytest.mark.extended
def test_what_is_not_read_is_named(compared: Compared) -> None:
    found = compared("shapes_keras.py:subclassed", "shapes_torch.py:Unread", size=[8, 8, 3])
    assert found.status != EQUAL
    assert any("cumsum" in one for one in found.unread)
    first = found.differences[0]
    assert first.constant == "extra layer"
    assert "cumsum" in first.b


REFUSED = [
    ("Branches", 4, r"shapes_torch.py:\d+: the program looks at the values of a tensor"),
    ("Needs", 2, r"'Needs' needs arguments \(classes\); write a function without any"),
    ("number", 2, r"is a int, not a torch.nn.Module"),
    ("Nets", 2, r"has no 'Nets' \(did you mean 'UNet'\?\)"),
    ("Fails", 4, r"RuntimeError while reading the program: no such luck\n.*in _deeper: raise"),
    ("LeNet", 4, "RuntimeError while reading the program"),
]


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(("name", "status", "message"), REFUSED)
def test_bad_programs_get_one_message(
    name: str, status: int, message: str, compared: Compared
) -> None:
    with pytest.raises(PortError, match="(?s)" + message) as refused:
        compared("shapes_keras.py:subclassed", f"shapes_torch.py:{name}", size=[8, 8, 3])
    assert refused.value.status == status
    assert "site-packages" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrapped", r"of flax.linen in .*ToNNX.* give the linen module itself"),
        ("Counted", r"neither weights nor running statistics is not read \(calls/count\)"),
    ],
)
def test_linen_is_refused_by_name(name: str, message: str, compared: Compared) -> None:
    with pytest.raises(PortError, match=message) as refused:
        compared(f"linen_flax.py:{name}", "shapes_torch.py:Subclassed", size=[8, 8, 3])
    assert refused.value.status == 4


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(
    ("name", "other", "size"),
    [
        ("Net", "shapes_torch.py:Subclassed", [8, 8, 3]),
        ("Residual", "shapes_torch.py:Residual", [12, 12, 3]),
        ("Dropped", "own_torch.py:Net", [12, 12, 3]),
    ],
)
def test_linen_is_read(name: str, other: str, size: list[int], compared: Compared) -> None:
    found = compared(f"linen_flax.py:{name}", other, size=size, given_weights=True)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert found.listings[0].operations[0].where.startswith("linen_flax.py:")


@pytest.mark.slow
@pytest.mark.extended
def test_bad_files_get_one_message(compared: Compared) -> None:
    with pytest.raises(PortError, match=r"ModuleNotFoundError while importing .*no_such_package"):
        compared("imports_nothing.py:make", "shapes_torch.py:LeNet", size=[8, 8, 3])
    with pytest.raises(PortError, match=r"'lambda.*' is a Lambda: what its function does"):
        compared("shapes_keras.py:with_lambda", "shapes_torch.py:LeNet")
    with pytest.raises(PortError, match=r"takes pictures of .*28, 28, 1"):
        compared("shapes_keras.py:lenet", "shapes_torch.py:LeNet", size=[8, 8, 3])


@pytest.mark.slow
@pytest.mark.extended
def test_a_network_in_toml_is_a_program(compared: Compared, tmp_path: Path) -> None:
    layers = [
        'type = "conv"\nfilters = 4\nkernel = 3\nactivation = "relu"',
        'type = "global_max_pool"',
        'type = "dense"\nunits = "classes"',
    ]
    text = "".join(f"[[layers]]\n{layer}\n" for layer in layers)
    (tmp_path / "small.toml").write_text(
        text.replace("kernel = 3", 'kernel = 3\npadding = "valid"')
    )
    found = compared("shapes_keras.py:subclassed", f"{tmp_path}/small.toml", size=[8, 8, 3])
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert found.measured["gradients"] < 1e-9
