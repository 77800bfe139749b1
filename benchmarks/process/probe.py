"""Can a framework use the GPU? `python -m benchmarks.process.probe NAME` ends with 0, or 1 and why.

Builds a network of one dense layer there and asks it for a prediction; run in a process of its own
by `device`.
"""

import sys

import numpy as np

from frameworks.backend import Runtime, framework
from frameworks.spec.architecture import parse
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe

_LAYERS = """
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = "classes"
"""


def main(name: str) -> str | None:
    """Why the framework of that name cannot use the GPU; None when it can."""
    architecture = fill_architecture(parse(_LAYERS, origin="probe", default_name="probe"))
    network = Network(architecture, (2, 2, 1), 2)
    try:
        backend = framework(name).backend()(
            network, fill_recipe(Recipe()), Runtime(device="cuda"), None
        )
        backend.predict(np.zeros((1, 2, 2, 1), np.uint8))
    except Exception as error:  # whatever a framework raises is the reason
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
