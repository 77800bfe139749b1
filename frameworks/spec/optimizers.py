"""The optimizers of a recipe, as data.

A field that frameworks default differently is `None` until `frameworks.spec.defaults` fills it in.
The update formulas are written out in `frameworks.numpy.optimizers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from frameworks.spec.reading import SpecificationError


class _Optimizer(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", kw_only=True
):
    """Base of the optimizers.

    A rate left open is the project's or the framework's own default (`frameworks.spec.defaults`).
    """

    learning_rate: float | None = None

    @property
    def rate(self) -> float:
        """The learning rate.

        Raises:
            SpecificationError: it is left open; `frameworks.spec.defaults.fill_recipe` fills it in.
        """
        if self.learning_rate is None:
            raise SpecificationError(
                f"optimizer '{self.__struct_config__.tag}': field 'learning_rate' is left open; "
                "fill it in with frameworks.spec.defaults.fill_recipe."
            )
        return self.learning_rate


EpsilonForm = Literal["paper", "hat"]
VelocityForm = Literal["rate_outside", "rate_inside"]
DecayForm = Literal["coupled", "decoupled"]
AmsgradForm = Literal["raw", "corrected"]
Decayed = Literal["all", "kernels"]


class Adam(_Optimizer, frozen=True, tag="adam", kw_only=True):
    """Kingma & Ba 2015.

    `epsilon_form` "paper" is algorithm 1: epsilon is added to the bias-corrected root; "hat" is
    the form at the end of their section 2, which Keras uses: epsilon is added before correction.

    `weight_decay`, of every weight, biases and norms too, or of kernels alone (`decayed`), is
    "coupled": added to the gradient, as
    in PyTorch; or "decoupled": taken off the weight, as in Keras and in AdamW.
    `amsgrad` divides by the largest second moment so far (Reddi, Kale & Kumar 2018): of the "raw"
    ones, corrected afterwards, as in Keras and PyTorch; or of the "corrected" ones, as in optax.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float | None = None
    epsilon_form: EpsilonForm | None = None
    weight_decay: float | None = None
    decayed: Decayed = "all"
    decay_form: DecayForm | None = None
    amsgrad: bool = False
    amsgrad_form: AmsgradForm | None = None


class AdamW(_Optimizer, frozen=True, tag="adamw", kw_only=True):
    """Loshchilov & Hutter 2019: Adam with decay `learning_rate * weight_decay * w` of all."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float | None = None
    epsilon_form: EpsilonForm | None = None
    weight_decay: float | None = None
    decayed: Decayed = "all"
    amsgrad: bool = False
    amsgrad_form: AmsgradForm | None = None


class Adamax(_Optimizer, frozen=True, tag="adamax", kw_only=True):
    """Kingma & Ba 2015, section 7: the largest gradient so far in place of the root.

    `epsilon_in_norm` adds epsilon to the size of the gradient ahead of the maximum, as PyTorch and
    optax do; else to the maximum, as Keras does.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float | None = None
    epsilon_in_norm: bool | None = None


class Lion(_Optimizer, frozen=True, tag="lion", kw_only=True):
    """Chen et al. 2023 (arXiv 2302.06675): the rate times the sign of a mean gradient.

    `beta_1` is of the mean that is applied, `beta_2` of the one that is kept. The decay is AdamW's.
    """

    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float | None = None
    decayed: Decayed = "all"


class Adadelta(_Optimizer, frozen=True, tag="adadelta", kw_only=True):
    """Zeiler 2012, with a learning rate."""

    rho: float | None = None
    epsilon: float | None = None


class Adagrad(_Optimizer, frozen=True, tag="adagrad", kw_only=True):
    """Duchi, Hazan & Singer 2011. `epsilon_in_root` adds epsilon under the square root."""

    initial_accumulator: float | None = None
    epsilon: float | None = None
    epsilon_in_root: bool | None = None


class SGD(_Optimizer, frozen=True, tag="sgd", kw_only=True):
    """Gradient descent, with momentum or Nesterov momentum.

    `velocity_form` says whether the learning rate multiplies the velocity when it is applied
    ("rate_outside") or when it is accumulated ("rate_inside"); they part when the rate changes.
    `weight_decay` and `decay_form` are Adam's.
    """

    momentum: float = 0.0
    nesterov: bool = False
    velocity_form: VelocityForm | None = None
    weight_decay: float | None = None
    decayed: Decayed = "all"
    decay_form: DecayForm | None = None


class RMSprop(_Optimizer, frozen=True, tag="rmsprop", kw_only=True):
    """Tieleman & Hinton 2012. `epsilon_in_root` adds epsilon under the square root.

    `centered` takes the square of the mean gradient off the mean square (Graves 2013, section
    4.2). `momentum` is of the divided gradients; `momentum_form` is SGD's `velocity_form`.
    """

    rho: float | None = None
    epsilon: float | None = None
    epsilon_in_root: bool | None = None
    centered: bool = False
    momentum: float | None = None
    momentum_form: VelocityForm | None = None


Optimizer = Adam | AdamW | Adamax | Lion | Adadelta | Adagrad | SGD | RMSprop
OPTIMIZERS: dict[str, type[_Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "adamax": Adamax,
    "lion": Lion,
    "adadelta": Adadelta,
    "adagrad": Adagrad,
    "sgd": SGD,
    "rmsprop": RMSprop,
}


def kept_slots(optimizer: Optimizer, own: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Slots that an optimizer keeps of each weight, by canonical name: plain SGD has none.

    Args:
        own: a framework's names: of each optimizer, by its name and by canonical slot.
    """
    absent = {
        name
        for name, switch in (
            ("velocity", "momentum"),
            ("mean_gradient", "centered"),
            ("largest_second_moment", "amsgrad"),
        )
        if not getattr(optimizer, switch, True)
    }
    names = own[str(optimizer.__struct_config__.tag)]
    return {slot: name for slot, name in names.items() if slot not in absent}


def velocity_form(optimizer: Optimizer) -> VelocityForm | None:
    """Form of momentum, named after the place of the rate; None without momentum."""
    if isinstance(optimizer, SGD | RMSprop) and optimizer.momentum:
        sgd = isinstance(optimizer, SGD)
        form = optimizer.velocity_form if sgd else optimizer.momentum_form  # type: ignore[union-attr]
        return form or "rate_outside"
    return None


def decay(optimizer: Optimizer) -> tuple[float, DecayForm]:
    """The weight decay of every weight, 0 for none, and how it is applied."""
    share = getattr(optimizer, "weight_decay", None) or 0.0
    form: DecayForm = getattr(optimizer, "decay_form", None) or "coupled"
    return share, "decoupled" if isinstance(optimizer, AdamW | Lion) else form


def spares(optimizer: Optimizer, key: str) -> bool:
    """True for a weight that the weight decay leaves alone: a bias, or a weight of a norm."""
    return getattr(optimizer, "decayed", "all") == "kernels" and not key.endswith("/kernel")


def of_weight(optimizer: Optimizer, key: str) -> Optimizer:
    """The optimizer of one weight, by its key: without weight decay where it is spared."""
    if not spares(optimizer, key):
        return optimizer
    return msgspec.structs.replace(optimizer, weight_decay=0.0)
