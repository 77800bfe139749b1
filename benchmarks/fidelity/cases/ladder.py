"""The cases of the rungs R0-R5b: which networks, optimizers and steps are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.cases.twins import smooth_twin, unbiased_twin
from datasets.drawn.settings import Augment
from frameworks.spec import recipe as recipes
from frameworks.spec.architecture import Architecture, load, parse
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.graph import every_layer
from frameworks.spec.layers import BatchNorm, Multiply
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.losses import CrossEntropy, Loss
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import ClassWeightMean, Optimizer, Recipe
from results.vocabulary import Precision

# Numbers that binary floating point holds exactly: all frameworks then compute with the same ones.
DYADIC: dict[str, Optimizer] = {
    "adam": recipes.Adam(learning_rate=2**-10, beta_1=29 / 32, beta_2=1 - 2**-10, epsilon=2**-27),
    "adamw": recipes.AdamW(
        learning_rate=2**-10, beta_1=29 / 32, beta_2=1 - 2**-10, epsilon=2**-27, weight_decay=2**-4
    ),
    "adamax": recipes.Adamax(
        learning_rate=2**-10, beta_1=29 / 32, beta_2=1 - 2**-10, epsilon=2**-27
    ),
    "lion": recipes.Lion(
        learning_rate=2**-10, beta_1=29 / 32, beta_2=1 - 2**-7, weight_decay=2**-4
    ),
    "adadelta": recipes.Adadelta(learning_rate=2**-1, rho=29 / 32, epsilon=2**-20),
    "adagrad": recipes.Adagrad(learning_rate=2**-7, initial_accumulator=2**-3, epsilon=2**-23),
    "sgd": recipes.SGD(learning_rate=2**-8),
    "momentum": recipes.SGD(learning_rate=2**-9, momentum=29 / 32),
    "nesterov": recipes.SGD(learning_rate=2**-9, momentum=29 / 32, nesterov=True),
    "rmsprop": recipes.RMSprop(learning_rate=2**-10, rho=29 / 32, epsilon=2**-23),
}
# The forms in which a framework's own optimizer differs from the project's, of the same numbers.
FORMS: dict[str, Optimizer] = {
    f"{name}_{word}": msgspec.structs.replace(DYADIC[name], **{field: value})
    for word, field, value, names in (
        ("hat", "epsilon_form", "hat", ("adam", "adamw")),
        ("inside", "velocity_form", "rate_inside", ("momentum", "nesterov")),
        ("outside", "epsilon_in_root", False, ("adagrad", "rmsprop")),
    )
    for name in names
}
# With what an optimizer may have besides, in each form.
FORMS |= {
    f"{name}_{word}": msgspec.structs.replace((DYADIC | FORMS)[name], **fields)
    for name, word, fields in (
        ("adam", "coupled", {"weight_decay": 2**-4, "decay_form": "coupled"}),
        ("adam_hat", "decoupled", {"weight_decay": 2**-4, "decay_form": "decoupled"}),
        ("momentum", "coupled", {"weight_decay": 2**-3, "decay_form": "coupled"}),
        ("nesterov", "decoupled", {"weight_decay": 2**-3, "decay_form": "decoupled"}),
        ("adam", "spared", {"weight_decay": 2**-4, "decay_form": "coupled", "decayed": "kernels"}),
        (
            *("nesterov", "spared"),
            {"weight_decay": 2**-3, "decay_form": "decoupled", "decayed": "kernels"},
        ),
        ("adamw", "spared", {"decayed": "kernels"}),
        ("lion", "spared", {"decayed": "kernels"}),
        ("adam", "amsgrad", {"amsgrad": True, "amsgrad_form": "raw"}),
        ("adamw_hat", "amsgrad", {"amsgrad": True, "amsgrad_form": "raw"}),
        ("adam", "corrected", {"amsgrad": True, "amsgrad_form": "corrected"}),
        ("adamw", "corrected", {"amsgrad": True, "amsgrad_form": "corrected"}),
        ("adamax", "outside", {"epsilon_in_norm": False}),
        ("rmsprop", "centered", {"centered": True}),
        ("rmsprop", "momentum", {"momentum": 29 / 32, "momentum_form": "rate_outside"}),
        (
            "rmsprop_outside",
            "inside",
            {"centered": True, "momentum": 0.5, "momentum_form": "rate_inside"},
        ),
    )
}
# Of ten classes; from none at all to four times the usual; 0.3 is another number in float32.
CLASS_WEIGHTS = (0.3, 4.0, 1.0, 0.25, 2.0, 0.0, 1.5, 0.75, 3.0, 1.0)
_ALONE = 200  # steps of R3
_PLAIN = CrossEntropy()
# In float16: no gradient of a small picture overflows, and few are below its smallest numbers.
HALF_SCALE = LossScale(initial=2.0**10, interval=2000)
STEADY_EPSILON = 2**-13  # stops Adam from amplifying gradients that are rounding alone
HALF_EPSILON = 2**-9  # in float16


def steady(optimizer: str, epsilon: float = STEADY_EPSILON) -> Optimizer:
    """The optimizer of DYADIC; Adam, AdamW and Adamax with an epsilon that rounding does not reach.

    The difference of two equal trainings falls as 1 / epsilon (docs/fidelity.md): the rest is a
    real difference. R3 tests the small epsilon, on gradients that are given.
    """
    return with_epsilon(DYADIC[optimizer], epsilon)


def steady_epsilon(precision: Precision) -> float:
    """Epsilon of R4, which rounding does not reach. No usual one is above a gradient's rounding in
    bfloat16, whose steps turn round at worst, and the bounds were set on that."""
    return HALF_EPSILON if precision == "float16" else STEADY_EPSILON


def with_epsilon(spec: Optimizer, epsilon: float = STEADY_EPSILON) -> Optimizer:
    """The optimizer, but Adam, AdamW and Adamax with this epsilon."""
    if isinstance(spec, recipes.Adam | recipes.AdamW | recipes.Adamax):
        return msgspec.structs.replace(spec, epsilon=epsilon)
    return spec


# Every kind of layer and option in one small network.
_EVERYTHING = """
layers = [
  {type = "conv", filters = 6, kernel = [4, 3], padding = "same", activation = "relu", l2 = 0.0078},
  {type = "batch_norm"},
  {type = "max_pool", size = 3, stride = 2},
  {type = "conv", filters = 8, kernel = 3, stride = 2, padding = "same"},
  {type = "batch_norm"},
  {type = "activation", function = "silu"},
  {type = "dropout", rate = 0.25},
  {type = "average_pool", size = 2},
  {type = "flatten"},
  {type = "dropout", rate = 0.5},
  {type = "dense", units = 12, activation = "tanh", max_norm = 0.5},
  {type = "batch_norm"},
  {type = "dense", units = 8, activation = "sigmoid", l2 = 0.0078},
  {type = "dense", units = "classes"},
]
"""
_SMALL = """
layers = [{type = "flatten"}, {type = "dense", units = 5}, {type = "dense", units = "classes"}]
"""
EVERYTHING = parse(_EVERYTHING, origin="everything", default_name="everything")
SMALL = parse(_SMALL, origin="small", default_name="small")


def smallest_input(architecture: Architecture, channels: int = 3) -> tuple[int, int, int]:
    """The smallest square picture that leaves at least 2 x 2 pixels to every layer but those of
    gates, which may average over all of them."""
    for size in range(8, 600):
        try:
            network = Network(architecture, (size, size, channels), 2)
        except SpecificationError:
            continue
        gates = tuple(f"{one.name}_" for one in network.layers if isinstance(one, Multiply))
        shapes = network.output_shapes.items()
        images = [one for name, one in shapes if len(one) == 3 and not name.startswith(gates)]
        if all(min(shape[:2]) >= 2 for shape in images):
            return size, size, channels
    raise SpecificationError(f"architecture '{architecture.name}' needs more than 600 pixels.")


def make(
    architecture: Architecture | str,
    optimizer: Optimizer | str = "adam",
    precision: Precision = "float64",
    *,
    label: str = "",
    size: int = 0,
    shape: tuple[int, int, int] | None = None,
    batch_size: int = 8,
    classes: int = 10,
    loss: Loss = _PLAIN,
    class_weights: tuple[float, ...] | None = None,
    class_weight_mean: ClassWeightMean | None = None,
    partial_batch: Literal["keep", "drop"] = "keep",
    augment: Augment | None = None,
    **fields: object,
) -> Case:
    """A case with everything stated; the input is the smallest that fits unless a `size` or a
    `shape` (height, width, channels) is given. Lion trains the unbiased twin."""
    architecture = load(architecture) if isinstance(architecture, str) else architecture
    optimizer_name = optimizer if isinstance(optimizer, str) else ""
    spec = (DYADIC | FORMS)[optimizer] if isinstance(optimizer, str) else optimizer
    shape = shape or ((size, size, 3) if size else smallest_input(architecture))
    if isinstance(spec, recipes.Lion):
        architecture = unbiased_twin(architecture, shape, classes)
    recipe = fill_recipe(
        Recipe(
            optimizer=spec,
            loss=loss,
            batch_size=batch_size,
            class_weights=class_weights,
            class_weight_mean=class_weight_mean,
            partial_batch=partial_batch,
            augment=augment,
            loss_scale=HALF_SCALE if precision == "float16" else None,
        )
    )
    parts = [architecture.name, label, optimizer_name, str(classes), precision]
    return Case(
        name="-".join(part for part in parts if part),
        architecture=fill_architecture(architecture),
        input_shape=shape,
        classes=classes,
        recipe=recipe,
        precision=precision,
        **fields,  # type: ignore[arg-type]
    )


def one_batch(
    architectures: Iterable[str | Architecture],
    precisions: Iterable[Precision],
    classes: Iterable[int] = (10, 4),
    **fields: object,
) -> list[Case]:
    """R0-R2: structure, forward, loss and gradients of one batch."""
    precisions, classes = list(precisions), list(classes)
    options = {"images": 24} | fields
    return [
        make(architecture, precision=precision, classes=number, label="batch", **options)  # type: ignore[arg-type]
        for architecture in architectures
        for precision in precisions
        for number in classes
    ]


def optimizers_alone(precisions: Iterable[Precision], steps: int = _ALONE) -> list[Case]:
    """R3: every optimizer on made-up gradients, the learning rate divided by 8 half-way; in
    float64 in its other forms too."""
    return [
        make(
            SMALL,
            spec,
            precision,
            label=f"alone-{name}" + ("" if steps == _ALONE else f"-{steps}steps"),
            size=8,
            measure=("optimizer",),
            steps=steps,
            rate_change=steps // 2,
            rate_factor=2**-3,
            record_every=10,
        )
        for precision in precisions
        for name, spec in (DYADIC | (FORMS if precision == "float64" else {})).items()
    ]


def one_step(
    architectures: Iterable[str | Architecture],
    precisions: Iterable[Precision],
    optimizers: Iterable[str] = ("adam",),
    rate: float | None = None,
    **fields: object,
) -> list[Case]:
    """R4: one whole step; Adam's epsilon is large enough not to amplify rounding.

    rate: learning rate over DYADIC's (default: `r4_rate`).
    """
    precisions, optimizers = list(precisions), list(optimizers)
    options = {"images": 24, "steps": 1} | fields
    measures = {"float64": ("steps",)}  # where rounding puts no ReLU on another side
    return [
        make(
            architecture,
            at_rate(
                steady(name, steady_epsilon(precision)),
                r4_rate(DYADIC[name]) if rate is None else rate,
            ),
            precision,
            label=f"step-{name}",
            **({"measure": measures.get(precision, ("forward", "steps"))} | options),  # type: ignore[arg-type]
        )
        for architecture in architectures
        for precision in precisions
        for name in optimizers
    ]


def r4_rate(optimizer: Optimizer) -> float:
    """Learning rate of R4 over DYADIC's: under Nesterov a step that is long beside the spacing of
    float32, to which Keras on PyTorch rounds the weights twice (docs/fidelity.md)."""
    return 2.0**4 if isinstance(optimizer, recipes.SGD) and optimizer.nesterov else 1.0


def r5_rate(optimizer: Optimizer, architecture: Architecture) -> float:
    """Learning rate of R5 over DYADIC's: as large as rounding allows (docs/fidelity.md).

    At a large one rounding grows from step to step, with batch norm over eight images up to
    1e10-fold in 64, and says nothing of what is computed. At a small one the way of the weights is
    short beside the spacing of float32.
    """
    if any(isinstance(layer, BatchNorm) for layer in every_layer(architecture.layers)):
        return 2**-4
    return 1.0 if isinstance(optimizer, recipes.SGD) else 2**-2


def _slower(optimizer: Optimizer, architecture: Architecture, rate: float | None) -> Optimizer:
    return at_rate(optimizer, r5_rate(optimizer, architecture) if rate is None else rate)


def at_rate(optimizer: Optimizer, share: float) -> Optimizer:
    """The optimizer with so much of its learning rate."""
    return msgspec.structs.replace(optimizer, learning_rate=optimizer.rate * share)


def smooth_trajectories(
    architectures: Iterable[str | Architecture],
    optimizers: Iterable[str] = ("adam",),
    steps: int = 200,
    rate: float | None = None,
    precision: Precision = "float32",
    **fields: object,
) -> list[Case]:
    """R5b: the smooth twin in float32, or a precision below it; Adam's epsilon as large as R4's,
    numbers that are exact.

    rate: learning rate over DYADIC's (default: `r5_rate`).
    """
    optimizers = list(optimizers)
    options = {"images": 44, "test_images": 8, "record_every": max(1, steps // 2)} | fields
    options |= {"measure": ("steps",), "steps": steps}
    networks = [load(a) if isinstance(a, str) else a for a in architectures]
    return [
        make(
            smooth_twin(network),
            _slower(steady(name), network, rate),
            precision,
            label=f"{steps}steps-{name}",
            **options,  # type: ignore[arg-type]
        )
        for network in networks
        for name in optimizers
    ]


def trajectories(
    architectures: Iterable[str | Architecture],
    optimizers: Iterable[str],
    steps: int = 10,
    epsilon: float = STEADY_EPSILON,
    rate: float | None = None,
    **fields: object,
) -> list[Case]:
    """R5a: float64 training, every step compared, the learning rate halved half-way.

    epsilon: of Adam and AdamW, as large as R4's unless another is asked for.
    rate: learning rate over DYADIC's (default: `r5_rate`).
    """
    optimizers = list(optimizers)
    options: dict[str, object] = {"images": 44, "test_images": 8, "measure": ("steps",)}
    options |= {"record_every": max(1, steps // 2)} | fields
    options |= {"steps": steps, "rate_change": steps // 2, "rate_factor": 0.5}
    networks = [load(a) if isinstance(a, str) else a for a in architectures]
    return [
        make(
            network,
            _slower(steady(name, epsilon), network, rate),
            "float64",
            label=f"{steps}steps-{name}",
            **options,  # type: ignore[arg-type]
        )
        for network in networks
        for name in optimizers
    ]
