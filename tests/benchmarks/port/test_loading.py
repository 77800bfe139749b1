"""The user's file: imported as what it is, and what is named in it."""

from pathlib import Path

import pytest

from benchmarks.port import loading
from benchmarks.port.operation import PortError
from benchmarks.port.programs import Source
from benchmarks.port.readers.calls import CALLS


def parts(path: Path, text: str) -> dict:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return loading.parts(Source(label=f"{path}:Net", path=str(path), name="Net", framework="torch"))


def test_a_file_of_a_package_imports_its_siblings(tmp_path: Path) -> None:
    folder = tmp_path / "ported_package" / "models"
    folder.mkdir(parents=True)
    for place in (folder, folder.parent):
        (place / "__init__.py").touch()
    (folder.parent / "sizes.py").write_text("wide = 8\n")
    found = parts(folder / "net.py", "from ..sizes import wide\n\nNet = [wide]\n")
    assert found["model"] == [8]
    assert CALLS.own(str(folder.parent / "sizes.py"))
    assert not CALLS.own(str(tmp_path / "env" / "site-packages" / "torch" / "nn.py"))
    assert not CALLS.own(loading.__file__)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Net = []\nloss = 3\n", r"net.py: the loss 'loss' is a int; docs/port.md says"),
        ("Net = []\noptimizer = 'sgd'\n", "the optimizer 'optimizer' is a str"),
        ("raise SystemExit(2)\n", "SystemExit while importing .*below `if __name__ == "),
        ("def Net():\n    raise SystemExit(2)\n", r"SystemExit while making .*\n.*net.py:2 in Net"),
        ("def Net(classes):\n    pass\n", r"'Net' needs arguments \(classes\)"),
    ],
)
def test_bad_files_get_one_message(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PortError, match=f"(?s){message}") as refused:
        parts(tmp_path / "net.py", text)
    assert "importlib" not in str(refused.value)
