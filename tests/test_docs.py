"""The documentation: every command is one that the present tree accepts, every link leads
somewhere, every field of a network file is described."""

import argparse
import ast
import functools
import importlib
import importlib.util
import itertools
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from benchmarks.config import experiment
from datasets import demo
from datasets.convert.recipes import RECIPES
from frameworks.spec import architecture
from tests.conftest import ROOT
from tests.helpers.pages import RUN_BY_A_TEST, Block, Command, Page, pages
from tests.test_requirements import pinned

PAGES = pages()
GUIDES = [page for page in PAGES if "evidence" not in page.path.parts]
COMMANDS = [command for page in PAGES for command in page.commands()]
OURS = ("benchmarks", "datasets", "frameworks", "galaxy_benchmark", "report", "results")
OTHERS = ("venv", "timeit")
FAR = ("galaxy10", "galaxy10-decals", "cuda")


class _Parsed(BaseException):
    """A parser accepted its command line. No Exception, so that no command catches it."""


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, tuple[str, ...]], None]:
    """Runs a command up to where its arguments are parsed, and no further."""
    depth = 0

    def stopping(original: Callable) -> Callable:
        def parse_args(self: argparse.ArgumentParser, *given: object, **named: object) -> object:
            nonlocal depth
            depth += 1
            options = original(self, *given, **named)
            depth -= 1
            if not depth:
                raise _Parsed
            return options

        return parse_args

    def run(module: str, arguments: tuple[str, ...]) -> None:
        imported = importlib.import_module(module)
        if hasattr(imported, "__path__"):
            imported = importlib.import_module(f"{module}.__main__")
        for kind in [argparse.ArgumentParser, *_below(argparse.ArgumentParser)]:
            if "parse_args" in vars(kind):
                monkeypatch.setattr(kind, "parse_args", stopping(vars(kind)["parse_args"]))
        if "--help" in arguments:
            with pytest.raises(SystemExit, match="0"):
                imported.main(list(arguments))
            return
        with pytest.raises(_Parsed):
            imported.main(list(arguments))

    return run


def _below(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_tree_accepts_every_command(
    command: Command,
    parse: Callable[[str, tuple[str, ...]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = command.words
    if words[0] == "taskset":
        words = words[3:]
    program = words[0].removeprefix(".venv/bin/")
    try:
        if program in ("python", "python3") and words[1] == "-m":
            _module(words[2], words[3:], parse)
        elif program == "pip":
            _pip(words[2:])
        elif program == "tox":
            _tox(words[words.index("-e") + 1])
        elif program not in ("git", "ruff", "mypy", "lint-imports", "ray"):
            assert os.access(ROOT / program, os.X_OK), f"{program}: what is this?"
    except SystemExit:
        pytest.fail(capsys.readouterr().err)


def _module(
    name: str, arguments: tuple[str, ...], parse: Callable[[str, tuple[str, ...]], None]
) -> None:
    if name.partition(".")[0] in OURS:
        parse(name, arguments)
        if "gate" in arguments and "--" in arguments:
            parse("benchmarks.run", arguments[arguments.index("--") + 1 :])
    elif name == "pytest":
        for word in arguments:
            assert word[:1] == "-" or " " in word or _is_marker_or_path(word), word
    elif name.startswith("tests."):
        assert importlib.util.find_spec(name), name
        if arguments:
            parse(name, arguments)
    else:
        assert name in OTHERS


def _is_marker_or_path(word: str) -> bool:
    return (ROOT / word).exists() or word in ("slow", "extended")


def _pip(words: tuple[str, ...]) -> None:
    for option, value in itertools.pairwise(words):
        if option in ("-r", "-c"):
            assert (ROOT / value).is_file(), f"no {value}"
    for word in words:
        package, _, version = word.partition("==")
        assert not version or pinned("constraints.txt")[package] == version


def _tox(environment: str) -> None:
    text = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for factor in environment.split("-"):
        assert re.search(rf"\b{factor}\b", text), f"tox.ini has no {factor}"


DRY = [
    command
    for page in GUIDES
    for command in page.commands()
    if command.words[1:3] == ("-m", "benchmarks.run") and not command.remark
]


_drawn = functools.cache(demo.generate)  # most are planned on the same galaxies


@pytest.mark.parametrize("command", DRY, ids=str)
def test_a_training_that_needs_nothing_can_be_planned(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond the parser: names, fields and values. What needs more says so above its block."""
    from benchmarks import run

    monkeypatch.setattr(demo, "generate", _drawn)
    missing = [word for word in command.words if word in FAR or _is_absent_file(word)]
    assert not missing, f"write <!-- needs: ... --> above the block for {missing}"
    arguments = [*command.words[3:], "--demo-images", "200", "--dry-run", "--store", str(tmp_path)]
    assert run.main(arguments) == 0, capsys.readouterr().err


def _is_absent_file(word: str) -> bool:
    return word.endswith((".h5", ".toml")) and not (ROOT / word).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Page) -> None:
    for target in page.links():
        name, _, anchor = target.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        assert path.exists(), target
        if anchor:
            assert anchor in Page(path).anchors(), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    known = {page.path: page for page in PAGES}
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path not in known:
            continue
        reached.add(path)
        targets = (target.partition("#")[0] for target in known[path].links())
        waiting += [(path.parent / target).resolve() for target in targets]
    assert not {page.name for page in PAGES if page.path not in reached}


def test_pages_named_in_the_code_exist() -> None:
    folders = ("benchmarks", "frameworks", "datasets", "results", "report")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    named = {
        (str(path), page)
        for path in files
        for page in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert named
    assert not {(path, page) for path, page in named if not (ROOT / page).is_file()}


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


PYTHON = [block for page in PAGES for block in page.blocks("python")]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_what_python_code_imports_of_ours_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(textwrap.dedent(block.text))):
        module = getattr(node, "module", None) or ""
        package = module.split(".")[0]
        if package in OURS:
            found = importlib.import_module(module)
            for name in node.names:  # type: ignore[attr-defined]
                assert hasattr(found, name.name) or importlib.import_module(f"{module}.{name.name}")


@pytest.mark.parametrize("name", ["docs/python.md", "docs/data.md"])
def test_python_code_of_the_guides_runs(
    name: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that holds a store and models, as after a session."""
    (tmp_path / "runs").symlink_to(trained / "runs")
    monkeypatch.chdir(tmp_path)
    for block in Page(ROOT / name).blocks("python"):
        if not block.remark:
            exec(compile(block.text, str(block), "exec"), {})


def test_the_networks_shown_are_networks(tmp_path: Path) -> None:
    """The first block is a file; the others are parts of one: layers, or a recipe."""
    whole, *parts = (block.text for block in Page(ROOT / "docs/networks.md").blocks("toml"))
    head, first, rest = whole.partition("[[layers]]")
    path = tmp_path / "shown.toml"
    for part in ("", *parts):
        layers = part.lstrip().startswith("[[layers]]")
        text = f"{head}{part}\n{first}{rest}" if layers else f"{whole}\n{part}"
        path.write_text(text, encoding="utf-8")
        assert architecture.load_with_recipe(path)[0].layers


def test_the_experiment_shown_is_one(tmp_path: Path) -> None:
    (block,) = Page(ROOT / "docs/experiments.md").blocks("toml")
    path = tmp_path / "mine.toml"
    path.write_text(block.text, encoding="utf-8")
    assert experiment.load(str(path)).reported


def test_the_reference_has_every_layer_and_field() -> None:
    """A field that is added without a line in docs/networks.md fails here."""
    text = Page(ROOT / "docs/networks.md").text
    _, *parts = re.split(r"^### ", text, flags=re.MULTILINE)
    sections = {
        name: part for part in parts for name in re.findall(r"`(\w+)`", part.split("\n")[0])
    }
    assert set(sections) == set(architecture.LAYER_TYPES)
    for name, layer in architecture.LAYER_TYPES.items():
        for field in msgspec.structs.fields(layer):
            assert field.name == "name" or f"`{field.name}`" in sections[name], (name, field.name)


@pytest.mark.slow
@pytest.mark.extended
def test_the_quickstart_runs(tmp_path: Path) -> None:
    ran = 0
    for block in Page(ROOT / "docs/quickstart.md").blocks("sh"):
        if block.remark == RUN_BY_A_TEST:
            script = f'set -e\npython() {{ {sys.executable} "$@"; }}\n{block.text}'
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            ran += 1
    assert ran
    assert (tmp_path / "report-out" / "index.html").is_file()
    assert (tmp_path / "runs.csv").is_file()


def test_the_data_page_states_the_recipes_hash() -> None:
    text = Page(ROOT / "docs/data.md").text
    assert all(recipe.published.sha256 in text for recipe in RECIPES.values())
