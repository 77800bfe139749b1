"""The framework that a model is written in, seen from its file without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from benchmarks.port.operation import PortError

_PACKAGES = {
    **{"keras": "keras", "tensorflow": "keras", "torch": "torch", "torchvision": "torch"},
    **{"flax": "jax", "jax": "jax", "optax": "jax"},
}


def framework_of(path: Path, name: str) -> str:
    """The framework of a model: "keras", "torch" or "jax".

    A file may import several. Then it is the one whose names the model's definition uses, or else
    the definitions that this one uses in turn. If that leaves several, the first import decides.

    Args:
        path: a program in Python.
        name: of the model in it.

    Raises:
        PortError: the file is no Python, or imports no framework.
    """
    tree = _parsed(path)
    imported = dict(_imported(tree))
    frameworks = list(dict.fromkeys(imported.values()))
    if not frameworks:
        raise PortError(
            f"{path}: imports none of keras, torch and flax; name the framework of each program "
            "with --frameworks"
        )
    definitions = {key: node for node in tree.body for key in _defined(node)}
    reached, nearest = set(), [name]
    while nearest and len(frameworks) > 1:
        reached |= set(nearest)
        used = [one for key in nearest for one in _used(definitions.get(key))]
        found = {imported[one] for one in used if one in imported}
        if len(found) == 1:
            return found.pop()
        nearest = [one for one in dict.fromkeys(used) if one in definitions and one not in reached]
    return frameworks[0]


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise PortError(f"{path}{where}: not a program in Python: {error}") from error


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names that stand for a framework's package or part of it, with the framework."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.partition(".")[0]
                if package in _PACKAGES:
                    yield alias.asname or package, _PACKAGES[package]
        elif isinstance(node, ast.ImportFrom) and node.module:
            package = node.module.partition(".")[0]
            if package in _PACKAGES:
                yield from ((one.asname or one.name, _PACKAGES[package]) for one in node.names)


def _defined(node: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a file defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        found = (part for target in targets for part in ast.walk(target))
        yield from (part.id for part in found if isinstance(part, ast.Name))
    else:  # below a condition, a loop or a try
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from _defined(child)


def _used(node: ast.stmt | None) -> list[str]:
    """Names that a definition uses, in the order of the text."""
    if node is None:
        return []
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
