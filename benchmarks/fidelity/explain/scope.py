"""Scope of `--explain`: the layers, values and losses that it has lines for."""

from __future__ import annotations

from frameworks.spec.graph import every_layer
from frameworks.spec.layers import Layer, Normalize, Residual, function_of
from frameworks.spec.losses import CrossEntropy
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe

_LAYERS = frozenset(
    ("conv", "dense", "max_pool", "average_pool", "batch_norm", "dropout", "flatten", "activation")
)
_FUNCTIONS = ("linear", "relu", "tanh", "sigmoid", "silu")
_INITIALISERS = (None, "glorot_uniform", "he_normal", "lecun_normal", "torch_uniform", "zeros")
# Of fields that may have more values: those with lines.
_VALUES: dict[str, tuple[object, ...]] = {
    "padding": ("valid", "same"),
    "dilation": (1,),
    "groups": (1,),
    "bias": (True,),
    "count_padding": (None, False),
    "gamma_initializer": ("ones",),
    "kernel_initializer": _INITIALISERS,
}
_NUMBERS = ("size", "stride", "filters")  # not as pairs or words


def check(layers: tuple[Layer, ...]) -> None:
    """Raise SpecificationError for the first layer that there are no lines for."""
    for layer in every_layer(layers):
        kind = str(layer.__struct_config__.tag)
        if kind not in _LAYERS or isinstance(layer, Residual | Normalize):
            _refuse(layer, f"a layer of type {kind}")
        if function_of(layer) not in _FUNCTIONS:
            _refuse(layer, f'the function "{function_of(layer)}"')
        for field, values in _VALUES.items():
            value = getattr(layer, field, values[0])
            padded_pool = field == "padding" and kind.endswith("pool") and value != "valid"
            if value not in values or padded_pool:
                _refuse(layer, f"{field} = {value}")
        for field in _NUMBERS:
            if not isinstance(getattr(layer, field, None), int | None):
                _refuse(layer, f"{field} = {getattr(layer, field)}")


def check_loss(recipe: Recipe) -> None:
    """Raise SpecificationError for class weights with a loss that there are no such lines for."""
    if recipe.class_weights is not None and recipe.loss != CrossEntropy():
        raise SpecificationError(
            f"--explain has no lines yet for class_weights with {recipe.loss}, but with plain "
            "cross_entropy. The climb asks every loss: run without --explain."
        )


def _refuse(layer: Layer, what: str) -> None:
    raise SpecificationError(
        f"layer '{layer.name}': --explain has no lines for {what} yet. The climb asks it: run "
        "without --explain."
    )
