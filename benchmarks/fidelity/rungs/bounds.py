"""The bounds of the ladder: those of float64 and float32 written down before measuring.

Float64 differences are rounding alone; float32 ones too, on pictures where no ReLU or max-pool
changes side. Batch norm divides by a measured spread, which amplifies the rounding of its input.
"""

from __future__ import annotations

from benchmarks.config.artifacts import Agreement
from benchmarks.config.runconfig import RunConfig
from frameworks.spec import recipe as recipes
from frameworks.spec.architecture import BatchNorm
from frameworks.spec.network import Network

# Below float32: how many times the unit roundoff of what is multiplied, plain and with batch norm.
# Sums, losses and the optimizer are in float32 there too. Set after c1 and c2 were climbed in
# bfloat16 on a CPU, and before any of it ran on a GPU, in TF32 or in float16.
ROUNDOFF = {"tf32": 2.0**-11, "float16": 2.0**-11, "bfloat16": 2.0**-8}
SIGNIFICANT_BITS = {"float16": 11, "bfloat16": 8}  # of what a kernel puts out
_FLOAT32 = 2.0**-24
_ROUNDOFFS = {
    "R1": (5, 20),
    "R1 loss": (5, 20),
    "R2": (10, 40),
    "R4": (10, 40),
    "R5b loss": (2, 10),
    "R5b weights": (5, 20),
    "R5b logits": (10, 40),
}

# rung -> precision -> (bound, bound with batch norm)
_BOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    "R1": {"float64": (1e-12, 1e-12), "float32": (2e-6, 1e-5)},
    "R1 loss": {"float64": (1e-12, 1e-12), "float32": (1e-6, 1e-5)},
    "R2": {"float64": (1e-11, 1e-11), "float32": (1e-5, 2e-5)},
    "R3": {"float64": (1e-12, 1e-12), "float32": (1e-5, 1e-5)},
    "R4": {"float64": (1e-10, 1e-10), "float32": (1e-4, 1e-3)},
    "R5a loss": {"float64": (1e-12, 1e-11)},
    "R5a weights": {"float64": (1e-10, 1e-10)},
    "R5a logits": {"float64": (1e-10, 1e-10)},
    "R5b loss": {"float32": (1e-5, 1e-5)},
    "R5b weights": {"float32": (1e-4, 1e-4)},
    "R5b logits": {"float32": (1e-3, 1e-3)},
}
ADAM_FLOAT32 = 3e-5  # R3: Keras and optax take 1 - beta^t in float32, 6.6e-6 off at step 1
DEAD_BIAS = 1e-6  # largest gradient of a bias that a batch norm cancels, float32
DEAD_BIAS_FLOAT64 = 1e-12
RMS_FACTOR = 3.0  # R1 float32: error against the oracle, times the median framework's
# R5e in float32: distance of several replicas from one, over the furthest that one is from itself
# when its weights begin one rounding aside
REPLICAS_NOISE = 2.0
REPLICAS = 1e-12  # R5e: several replicas against one, and against others' several
AGREEMENT = 0.995  # R5b: share of equal predictions


def bound(rung: str, network: Network, precision: str, optimizer: recipes.Optimizer) -> float:
    """The bound of a rung for a network in a precision."""
    if precision in ROUNDOFF and rung in _ROUNDOFFS:
        return _ROUNDOFFS[rung][normalises(network)] * ROUNDOFF[precision]
    precision = "float32" if precision in ROUNDOFF else precision
    plain, with_norm = _BOUNDS[rung][precision]
    if rung == "R3" and precision == "float32":
        return ADAM_FLOAT32 if isinstance(optimizer, recipes.Adam | recipes.AdamW) else plain
    return with_norm if normalises(network) else plain


def agreement(config: RunConfig) -> Agreement:
    """Within what a trained run's own answers have to agree: its self-check (benchmarks/worker)."""
    network, precision = config.network(), config.precision
    roundoff = {"float64": 2.0**-53, "float32": _FLOAT32} | ROUNDOFF
    return Agreement(
        bound=bound("R1", network, precision, config.recipe.optimizer),
        times_float32=RMS_FACTOR * roundoff[precision] / _FLOAT32,
    )


def normalises(network: Network) -> bool:
    """True if a batch norm is among its layers."""
    return any(isinstance(layer, BatchNorm) for layer in network.layers)
