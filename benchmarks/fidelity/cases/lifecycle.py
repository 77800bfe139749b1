"""The small cases that every climb has besides the user's networks: few, so that together they
reach what a single batch of a square picture does not (`coverage` counts it)."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.cases.ladder import (
    CLASS_WEIGHTS,
    DYADIC,
    FORMS,
    at_rate,
    make,
    r5_rate,
    smallest_input,
    steady,
    with_epsilon,
)
from benchmarks.fidelity.cases.vocabulary import VOCABULARY
from datasets.drawn.settings import Augment
from frameworks.feed import CHUNK_STEPS
from frameworks.spec.architecture import (
    Activation,
    ActivationName,
    Architecture,
    BatchNorm,
    BiasInitializer,
    Conv,
    Dense,
    Flatten,
    KernelInitializer,
    Layer,
    parse,
)
from frameworks.spec.layers import Scale

_RATE = 2.0**-4  # over DYADIC's, as in R5 with batch norm
_TEST = 20  # two batches of 8 and a half
_SHORT = 3 * 8 + 5  # pictures of three steps and a smaller one
_LONG = (CHUNK_STEPS + 1) * 8 + 3  # of more steps than a chunk has

# Every kind of layer, with what faults bite on: a kernel that is not square, a stride-2 "same"
# that pads one side only, a square dense layer, a rate that is not its own complement, several
# pixels and channels before the flatten layer, an output bias that is not zero.
_BAIT = """
layers = [
  {type = "conv", filters = 6, kernel = [4, 3], padding = "same", activation = "relu", l2 = 0.0078},
  {type = "batch_norm", momentum = 0.75},
  {type = "max_pool", size = 3, stride = 2},
  {type = "conv", filters = 8, kernel = 3, stride = 2, padding = "same", max_norm = 0.5},
  {type = "batch_norm"},
  {type = "activation", function = "silu"},
  {type = "dropout", rate = 0.25},
  {type = "average_pool", size = 2},
  {type = "flatten"},
  {type = "dropout", rate = 0.25},
  {type = "dense", units = 12, activation = "tanh", max_norm = 0.5},
  {type = "dense", units = 12, activation = "sigmoid", l2 = 0.0078},
  {type = "dense", units = "classes", bias_initializer = "torch_uniform"},
]
"""
# Batch norm of pictures and of rows, both kinds of max-norm, and dropout, in as little as that.
_NORMED = """
layers = [
  {type = "conv", filters = 4, kernel = 3, activation = "relu", l2 = 0.0078, max_norm = 0.5},
  {type = "batch_norm", momentum = 0.75},
  {type = "max_pool", size = 2},
  {type = "flatten"},
  {type = "dropout", rate = 0.25},
  {type = "dense", units = 6, activation = "tanh", max_norm = 0.5},
  {type = "batch_norm", epsilon = 0.00390625},
  {type = "dense", units = "classes"},
]
"""
# Maxima behind a convolution whose filters weigh all pixels alike (`starts.even`).
_TIED = """
layers = [
  {type = "conv", filters = 4, kernel = 3, activation = "relu"},
  {type = "max_pool", size = 2},
  {type = "global_max_pool"},
  {type = "dense", units = "classes"},
]
"""
# Every function where its slope may jump or its form change: at zero, which such a convolution
# gives of patches half white.
_EACH = ", ".join(
    f'[{{type = "activation", function = "{name}"}}]' for name in get_args(ActivationName)
)
_STEEP = f"""
layers = [
  {{type = "normalize", mean = [0.5], deviation = [1.0]}},
  {{type = "conv", filters = 4, kernel = 2}},
  {{type = "concatenate", branches = [{_EACH}]}},
  {{type = "residual", layers = [{{type = "adaptive_max_pool", size = 2}}], shortcut = [
    {{type = "adaptive_average_pool", size = 2}}]}},
  {{type = "global_average_pool"}},
  {{type = "dense", units = "classes"}},
]
"""
# Pools that end at one pixel whatever the stride of the first or the padding of the convolution,
# so that no shape gives these away.
_NARROW = """
layers = [
  {type = "conv", filters = 6, kernel = 3, activation = "relu"},
  {type = "max_pool", size = 2},
  {type = "average_pool", size = 2},
  {type = "flatten"},
  {type = "dense", units = "classes"},
]
"""
# Without kinks, for float32; the batch norm's input has a mean some 16 times its spread, where
# E[x^2] - E[x]^2 loses digits, and so has that of the norms within the picture. One sum gives it,
# which every framework rounds alike; of more pixels XLA's sum alone is beyond R1's bound.
_DIM = """
layers = [
  {type = "normalize", mean = [-1.0], deviation = [1.0]},
  {type = "average_pool", size = 3, stride = 2},
  {type = "residual", layers = [{type = "batch_norm", epsilon = 9.5367431640625e-07}], shortcut = [
    {type = "residual", layers = [{type = "layer_norm", epsilon = 0.001953125}], shortcut = [
      {type = "group_norm", groups = 3, epsilon = 0.001953125}]}]},
  {type = "conv", filters = 4, kernel = 2, activation = "silu"},
  {type = "flatten"},
  {type = "dense", units = 6, activation = "tanh"},
  {type = "dense", units = "classes"},
]
"""
# Dropout that a framework draws for itself, of each kind: its mask is read off the dense kernel.
_MASKED = {
    "masked": '{type = "flatten"}, {type = "dropout", rate = 0.25}',
    "masked_channels": '{type = "dropout", rate = 0.25, per = "channel"}, {type = "flatten"}',
    "masked_pictures": '{type = "dropout", rate = 0.5, per = "picture"}, {type = "flatten"}',
}


def _functions() -> Architecture:
    """Every activation function in each place that has one, and every initialiser."""
    functions, kernels, biases = map(get_args, (ActivationName, KernelInitializer, BiasInitializer))
    layers: list[Layer] = []
    for number in range(max(len(functions), len(kernels))):
        function = functions[number % len(functions)]
        drawn: dict[str, Any] = {
            "kernel_initializer": kernels[number % len(kernels)],
            "bias_initializer": biases[number % len(biases)],
        }
        if drawn["kernel_initializer"] == "normal":
            drawn["kernel_deviation"] = 0.5
        layers.insert(number, Conv(filters=2, kernel=1, activation=function, **drawn))
        layers.append(Activation(function=function))
    layers.append(Flatten())
    layers += [
        Dense(
            units=3,
            activation=layer.activation,
            kernel_initializer=layer.kernel_initializer,
            kernel_deviation=layer.kernel_deviation,
        )
        for layer in layers
        if isinstance(layer, Conv)
    ]
    layers.append(Dense(units="classes", bias_initializer=biases[-1]))
    return _named("functions", layers)


def _drawn() -> Architecture:
    """Every initialiser that all frameworks have, of kernels whose fans are far apart."""
    kernels = [name for name in get_args(KernelInitializer) if name != "torch_uniform"]
    layers: list[Layer] = [Conv(filters=32, kernel=(3, 2), kernel_initializer="he_normal_fan_out")]
    layers += [BatchNorm(gamma_initializer="zeros"), Scale(initial=0.25), Flatten()]
    for number, name in enumerate(kernels):
        layers.append(Dense(units=(48, 120)[number % 2], kernel_initializer=name))
    return _named("drawn", [*layers, Dense(units="classes")])


def _named(name: str, layers: list[Layer]) -> Architecture:
    named = (msgspec.structs.replace(one, name=f"layer{n}") for n, one in enumerate(layers))
    return Architecture(name=name, layers=tuple(named))


def _network(text: str, name: str, **norm: Any) -> Architecture:
    """A network; norm: fields of its batch norms that the text leaves open."""
    made = parse(text, origin=name, default_name=name)
    layers = (
        msgspec.structs.replace(layer, **norm) if isinstance(layer, BatchNorm) else layer
        for layer in made.layers
    )
    return msgspec.structs.replace(made, layers=tuple(layers))


BAIT = _network(_BAIT, "bait")
NORMED = _network(_NORMED, "normed")
UNBIASED = _network(_NORMED, "unbiased", running_variance="unbiased")
FAST = _network(_NORMED, "fast", running_variance="unbiased", variance="fast")
DIM = _network(_DIM, "dim")
TIED = _network(_TIED, "tied")
STEEP = _network(_STEEP, "steep")
NARROW = _network(_NARROW, "narrow")
MASKED = [
    _network(f'layers = [{text}, {{type = "dense", units = "classes"}}]', name)
    for name, text in _MASKED.items()
]
FUNCTIONS = _functions()
DRAWN = _drawn()

# Drawn anew in each epoch, every field between them; the first is of colours, the last of square
# pictures.
_DRAWN = Augment(
    flip="both",
    shear=10,
    zoom=(0.9, 1.2),
    rotation=180,
    shift=0.1,
    contrast=0.2,
    brightness=0.2,
    saturation=0.5,
    hue=0.1,
    mixup=0.4,
    cutmix=1.0,
)
_DRAWN_PARTS = Augment(
    zoom=(0.5, 0.8),
    rotation=45,
    shrink=(0.8, 1.1),
    area=(0.5, 1.0),
    ratio=(0.75, 1.33),
    perspective=0.5,
    perspective_scale=0.25,
    crop_first=True,
    erase=0.3,
    erase_area=(0.1, 0.3),
)
_DRAWN_SHARP = Augment(flip="vertical", shift=0.2, noise=0.05, edge="constant")
_DRAWN_SQUARE = Augment(
    flip="horizontal", quarter_turns=True, rotation=20, interpolation="nearest", edge="nearest"
)

# What each optimizer's lifecycle has besides: an optimizer and a situation stand in one case, so
# that eight cases reach all of them. (optimizer, network, (height, width, channels), fields)
_LIVES: tuple[tuple[str, Architecture, tuple[int, int, int], dict[str, Any]], ...] = (
    (
        "adam",
        BAIT,
        (17, 20, 3),
        {"feed": "staged", "images": _LONG, "renewed": True}
        | {"measure": ("structure", "forward", "gradients", "restored", "lifecycle")},
    ),
    (
        "adamw_hat",
        NORMED,
        (10, 13, 1),
        {"feed": "streamed", "images": _LONG, "weighted": True},
    ),
    (
        "adadelta",
        NORMED,
        (12, 9, 2),
        {"feed": "staged", "partial_batch": "drop", "augment": _DRAWN_SHARP},
    ),
    ("adagrad", NORMED, (9, 12, 4), {"augment": _DRAWN_PARTS}),
    ("sgd", NORMED, (9, 9, 3), {"feed": "staged", "augmentation": "crops40"}),
    ("momentum_inside", NORMED, (11, 9, 1), {"batch_size": 64, "images": 2 * 64 + 5, "seed": 1}),
    (
        "nesterov",
        NORMED,
        (10, 10, 2),
        {"augmentation": "dihedral", "weighted": True, "augment": _DRAWN_SQUARE},
    ),
    (
        "rmsprop",
        NORMED,
        (9, 11, 3),
        {"feed": "streamed", "partial_batch": "drop", "augment": _DRAWN},
    ),
)
# In the forms that native parity trains with and that not every framework has.
_FORMS: tuple[tuple[str, Architecture, tuple[int, int, int], dict[str, Any]], ...] = (
    ("rmsprop_outside", UNBIASED, (9, 12, 2), {}),
    ("adagrad_outside", FAST, (12, 9, 3), {"feed": "staged"}),
)


def lifecycles() -> list[Case]:
    """R5d in float64: a training from its first call to its last, of every optimizer."""
    return [life(*one) for one in (*_LIVES, *_FORMS)]


def float32() -> list[Case]:
    """R0 to R2, weights put in and R5d in float32, on a network without kinks; more pictures in a
    batch than JAX' own gradient of a kernel takes at a time, and an odd number."""
    measures = ("structure", "forward", "gradients", "restored", "lifecycle")
    fields = {"measure": measures, "batch_size": 17, "seed": 1}
    return [life("adam", DIM, (8, 9, 3), fields, "float32")]


def special() -> list[Case]:
    """Cases with pictures, weights or masks of their own: ties of a max-pool, logits beyond any
    softmax, and dropout that a framework draws for itself."""
    each: dict[str, Any] = {"measure": ("forward", "gradients")}
    sure = each | {"start": "lived"}
    even = each | {"start": "even", "pictures": "two_levels"}
    words: dict[str, Any] = {"measure": ("structure", "forward", "gradients", "steps"), "steps": 2}
    words |= {"test_images": _TEST, "images": 24 + _TEST}
    own: dict[str, Any] = {"measure": ("own_masks",), "native": True, "steps": 12}
    drawn: dict[str, Any] = {"measure": ("drawn",), "native": True}
    options: dict[str, Any] = {"images": 24, "pictures": "noise"}
    return [
        make(TIED, DYADIC["sgd"], label="ties", shape=(10, 12, 3), **options | even),
        make(STEEP, DYADIC["sgd"], label="slopes", shape=(5, 6, 1), **options | even),
        make(BAIT, DYADIC["sgd"], label="sure", shape=(18, 17, 4), **options | sure),
        make(NARROW, DYADIC["sgd"], label="pools", shape=(6, 6, 3), **options | each),
        make(FUNCTIONS, DYADIC["sgd"], label="each", shape=(9, 10, 3), **options | each),
        *(
            make(network, DYADIC["sgd"], label="words", shape=(16, 18, 3), **options | words)
            for network in VOCABULARY.values()
        ),
        *(
            make(
                network, DYADIC["sgd"], label="own", shape=(6, 7, 4), batch_size=1, **options | own
            )
            for network in MASKED
        ),
        make(DRAWN, DYADIC["sgd"], label="own", shape=(6, 7, 4), **options | drawn),
    ]


def of_network(
    architecture: Architecture,
    optimizer: str,
    rate: float | None = None,
    *,
    size: int = 0,
    batch_size: int = 8,
    **fields: Any,
) -> Case:
    """R5d of a network in float64, on pictures that are not square unless a size is asked for;
    of short epochs, since the small cases have the long ones.

    rate: learning rate over DYADIC's (default: `r5_rate`).
    """
    height, width, channels = smallest_input(architecture)
    shape = (size, size, channels) if size else (height, width + 3, channels)
    spec = steady(optimizer)
    share = r5_rate(spec, architecture) if rate is None else rate
    tested = 2 * batch_size + max(1, batch_size // 2)
    options: dict[str, Any] = {"test_images": tested, "rate_factor": 0.5} | fields
    options.setdefault("images", 3 * batch_size + max(1, batch_size // 2) + tested)
    return make(
        architecture,
        at_rate(spec, share),
        label=f"life-{optimizer}",
        shape=shape,
        batch_size=batch_size,
        measure=("lifecycle",),
        **options,
    )


def life(
    optimizer: str,
    network: Architecture,
    shape: tuple[int, int, int],
    fields: dict[str, Any],
    precision: Any = "float64",
) -> Case:
    """A lifecycle of an optimizer of DYADIC or FORMS; of the fields `weighted` says whether the
    classes have weights, `label` what the case is named besides."""
    fields = dict(fields)
    label = "-".join(["life", *filter(None, [fields.pop("label", "")]), optimizer])
    weights = CLASS_WEIGHTS if fields.pop("weighted", False) else None
    spec = with_epsilon((DYADIC | FORMS)[optimizer])
    options: dict[str, Any] = {"pictures": "noise", "images": _SHORT, "measure": ("lifecycle",)}
    options |= fields
    options["images"] += _TEST
    return make(
        network,
        at_rate(spec, _RATE),
        precision,
        label=label,
        shape=shape,
        class_weights=weights,
        test_images=_TEST,
        rate_factor=0.5,
        **options,
    )
