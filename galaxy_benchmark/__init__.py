"""Train one network in Keras, PyTorch and JAX from Python, and read what came out.

    from galaxy_benchmark import Store, train
    trained = train(framework="torch", architecture="unam", epochs=3, demo_images=300)
    trained.row["test_accuracy"], trained.epochs

Trainings run in processes of the harness. This process imports `results` and `report` of ours
alone: no framework, and not our `datasets`, which would hide another package of that name.
"""

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galaxy_benchmark.api import Store, Trained, train

__all__ = ["Store", "Trained", "train"]

_HERE = Path(__file__).resolve().parent
# Where benchmarks, datasets, frameworks, report and results lie: in this folder when installed, in
# a checkout beside it.
ROOT = _HERE if (_HERE / "benchmarks").is_dir() else _HERE.parent


def environment() -> dict[str, str]:
    """The variables with which `python -m benchmarks.run` finds our folders from anywhere.

    The working directory is not searched: a `results.py` there is not ours.
    """
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}


def _import_ours(name: str) -> None:
    """Import a top-level package of ours by its place: its folder's neighbours stay out of reach.

    Raises:
        ImportError: another module of this name was imported before.
    """
    folder = ROOT / name
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    found = getattr(sys.modules[name], "__file__", None)
    if found is None or Path(found).resolve().parent != folder:
        raise ImportError(
            f"galaxy_benchmark needs its own package '{name}', and {found or 'a folder'} was "
            "imported under that name; rename yours, or use them in two processes"
        )


for _name in ("results", "report"):
    _import_ours(_name)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'galaxy_benchmark' has no attribute '{name}'")
    from galaxy_benchmark import api

    return getattr(api, name)
