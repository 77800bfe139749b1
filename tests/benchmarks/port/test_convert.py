"""A network as plain code of another framework: it computes the same, or is refused by name."""

import shutil
from pathlib import Path

import pytest

from benchmarks.port import __main__ as port
from benchmarks.port.compare import EQUAL
from benchmarks.port.convert.convert import check_of, converted, target
from benchmarks.port.operation import Listing, PortError
from tests.benchmarks.port.conftest import PROGRAMS, Compared
from tests.benchmarks.port.test_harness import named
from tests.benchmarks.port.test_write import conv, operation

KERAS = """\
def make():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv_0")(x)
    activation_1 = layers.Activation("relu")(x)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_regularizer=\
keras.regularizers.L2(l2=0.5), name="conv_2")(activation_1)
    x = layers.Add()([x, activation_1])
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Dense(3, name="dense_7")(x)
    return keras.Model(inputs, x)
"""


def test_code_is_as_people_write_it() -> None:
    text, name = converted(named(), "net.py:Net", "keras")
    assert name == "make"
    assert text.endswith(KERAS)


@pytest.mark.parametrize(("framework", "shown"), [("torch", "x.flatten(1)"), ("flax", "nnx.Conv(")])
def test_what_the_module_cannot_hold_is_said(framework: str, shown: str) -> None:
    text, name = converted(named(), "net.py:Net", framework)
    compile(text, "made.py", "exec")
    assert name == "Net"
    assert shown in text
    assert "conv_2: kernel regularizer L2(l2=0.5)" in text


UNEVEN = {"stride": [2, 2], "padding": [[0, 1], [1, 1]]}


@pytest.mark.parametrize(
    ("framework", "shown"),
    [
        ("torch", "F.pad(x, (1, 1, 0, 1))"),
        ("keras", "ZeroPadding2D(((0, 1), (1, 1)))"),
        ("flax", "padding=((0, 1), (1, 1))"),
    ],
)
def test_uneven_zeros_are_kept(framework: str, shown: str) -> None:
    found = named()
    found.operations[0] = conv(0, "pictures", 4, 8, **UNEVEN)
    assert shown in converted(found, "net.py:Net", framework)[0]


@pytest.mark.parametrize(
    ("framework", "kind", "constants", "message"),
    [
        ("keras", "prelu", {}, r"no plain form of prelu, at prelu_8 \(prelu\)"),
        ("flax", "resize", {"factor": [2, 2], "method": "nearest"}, "resize, at resize_8"),
        ("torch", "unread:cumsum", {}, r"unread:cumsum_8 \(cumsum\)"),
        ("keras", "activation", {"function": "gelu", "approximate": "tanh"}, "gelu, at"),
    ],
)
def test_what_has_no_plain_form_is_named(framework, kind, constants, message) -> None:
    last = operation(8, kind, ["7"], [3], **constants)
    found = named()
    with pytest.raises(PortError, match=message) as refused:
        converted(replaced(found, last), "net.py:Net", framework)
    assert refused.value.status == 4


def replaced(found: Listing, last) -> Listing:
    found.operations.append(last)
    found.output = last.id
    return found


def test_no_file_of_the_users_own_is_written_over(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert target("some/net-1.py:make", "torch", None) == Path("net_1_torch.py")
    Path("net_1_torch.py").write_text("mine")
    with pytest.raises(PortError, match=r"net_1_torch.py is there"):
        target("net-1.py:make", "torch", None)
    text = check_of(Path("net_torch.py"), "Net", "net.keras", ["--input", "8"])
    compile(text, "test_net_torch.py", "exec")


def test_one_program_is_named(capsys) -> None:
    assert port.main(["a.py:make"]) == 2
    assert "one with --convert FRAMEWORK" in capsys.readouterr().err
    assert port.main(["a.py:make", "b.py:make", "--convert", "torch"]) == 2


SHAPES = ("shapes_keras.py:residual", "shapes_keras.py:reused", "shapes_keras.py:lenet")


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(
    ("label", "framework"),
    [
        *((label, framework) for label in SHAPES for framework in ("torch", "flax")),
        ("shapes_keras.py:unet", "torch"),
        ("shapes_torch.py:Residual", "keras"),
        ("shapes_torch.py:UNet", "keras"),
        ("shapes_torch.py:Reused", "flax"),
        ("own_flax.py:Net", "keras"),
        ("own_flax.py:Net", "torch"),
    ],
)
def test_what_is_written_computes_the_same(
    label: str, framework: str, compared: Compared, tmp_path: Path
) -> None:
    keras = {"UNet": "unet", "Residual": "residual", "Reused": "reused", "Net": "make"}
    file, _, name = label.partition("_torch.py:" if "torch" in label else "_flax.py:")
    first = f"{file}_keras.py:{keras[name]}" if name else label  # which says how large it is
    listing = compared(first, label).listings[1]
    text, name = converted(listing, label, framework)
    path = tmp_path / "made.py"
    path.write_text(text)
    found = compared(
        str(PROGRAMS / label), f"{path}:{name}", given_weights=True, size=listing.input
    )
    assert found.status == EQUAL, (found.verdict, text)


@pytest.mark.slow
@pytest.mark.extended
def test_the_command_writes_code_and_its_test(tmp_path: Path, monkeypatch, capsys) -> None:
    for name in ("own_torch.py", "alike.py"):
        shutil.copy(PROGRAMS / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    size = ["--input", "12", "12", "3"]
    assert port.main(["own_torch.py:Net", "--convert", "torch", *size]) == 0
    assert "equal to" in capsys.readouterr().out
    made: dict = {"__file__": str(tmp_path / "test_own_torch_torch.py")}
    exec((tmp_path / "test_own_torch_torch.py").read_text(), made)
    monkeypatch.setenv("PYTHONPATH", str(PROGRAMS.parents[2]))
    made["test_both_are_equal"]()
