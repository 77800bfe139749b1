"""The user's file: imported in the program's own process, and what is named in it."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.port.operation import PortError
from benchmarks.port.options import PARTS
from benchmarks.port.programs import BESIDE, Source
from benchmarks.port.readers.calls import CALLS
from results.vocabulary import near_miss


def module(path: str) -> ModuleType:
    """A file as a module, run anew; its folder can be imported from.

    Raises:
        PortError: it raises; the message has the user's own frames.
    """
    file = Path(path).resolve()
    root, package = _package(file)
    if root not in CALLS.folders:
        CALLS.add(root)
    for folder in (root, file.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    name = f"{package}_ported_{file.stem}_{len(sys.modules)}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    try:
        if package:
            importlib.import_module(package.rstrip("."))
        spec.loader.exec_module(made)
    except (Exception, SystemExit) as error:
        raise failure(error, f"importing {path}") from error
    return made


def _package(file: Path) -> tuple[Path, str]:
    """The folder that a file is imported from, and the packages there that it lies in: "" or
    "net.models."."""
    root, package = file.parent, ""
    while (root / "__init__.py").is_file():
        root, package = root.parent, f"{root.name}.{package}"
    return root, package


def failure(error: BaseException, during: str) -> PortError:
    """A user's exception as one message: what was running, and their own frames."""
    if isinstance(error, PortError):
        return error
    said = " ".join(str(error).split())[:400]
    told = f"{type(error).__name__} while {during}: {said}"
    if isinstance(error, ModuleNotFoundError):
        told += "; install it for this interpreter, or name another one with --python"
    if isinstance(error, SystemExit):
        told += '; put what the file runs as a program below `if __name__ == "__main__":`'
    return PortError("\n  ".join([told, *CALLS.frames(error)]))


def parts(source: Source) -> dict[str, Any]:
    """The model and what it is trained with, by part; a part that is not there is left out."""
    own = module(source.path)
    found: dict[str, Any] = {}
    for part in BESIDE:
        if part in source.parts:
            path, name = source.parts[part]
            home = own if Path(path).resolve() == Path(source.path).resolve() else module(path)
            found[part] = attribute(home, name, path)
        elif hasattr(own, part) and not isinstance(getattr(own, part), ModuleType):
            found[part] = getattr(own, part)
    for part in {*PARTS} & {*found}:
        _check(part, found[part], source)
    return {"model": made(own, source.name, source.path), **found}


def _check(part: str, given: Any, source: Source) -> None:
    """Refuse what can be no loss, optimizer, schedule, clipping or preprocessing."""
    name = isinstance(given, str) and "keras" in source.framework
    known = any(hasattr(given, method) for method in ("step", "update", "apply_gradients"))
    if not (callable(given) or known or name or given is None):
        path, word = source.parts.get(part, (source.path, part))
        raise PortError(
            f"{path}: the {part} '{word}' is a {type(given).__name__}; docs/port.md says what it "
            "may be"
        )


def attribute(home: ModuleType, name: str, path: str) -> Any:
    """The object of that name in a module.

    Raises:
        PortError: the module has none; the message suggests a near name.
    """
    if not hasattr(home, name):
        known = [k for k in vars(home) if not k.startswith("_")]
        raise PortError(f"{path} has no '{name}'{near_miss(name, known)}")
    return getattr(home, name)


def made(home: ModuleType, name: str, path: str) -> Any:
    """A model: the object of that name, or what the function or class of that name makes."""
    found = attribute(home, name, path)
    if inspect.isclass(found) or inspect.isfunction(found):
        needed = [
            p.name
            for p in inspect.signature(found).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if needed:
            shown = ", ".join(needed)
            raise PortError(
                f"{path}: '{name}' needs arguments ({shown}); write a function without any, such "
                f"as def make(): return {name}(...), and name that: {path}:make"
            )
        try:
            return found()
        except (Exception, SystemExit) as error:
            raise failure(error, f"making the model with {name}()") from error
    return found
