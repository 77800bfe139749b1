"""A recipe is how a network is trained, as data: optimizer, batch size, epochs.

A field that frameworks default differently is `None` until `frameworks.defaults` fills it in.
The update formulas are written out in `frameworks.numpy_optimizers`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from frameworks.architecture import SpecificationError


class _Optimizer(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", kw_only=True
):
    """What every optimizer has."""

    learning_rate: float


EpsilonForm = Literal["paper", "hat"]
VelocityForm = Literal["rate_outside", "rate_inside"]


class Adam(_Optimizer, frozen=True, tag="adam", kw_only=True):
    """Kingma & Ba 2015.

    `epsilon_form` "paper" is algorithm 1: epsilon is added to the bias-corrected root; "hat" is
    the form at the end of their section 2, which Keras uses: epsilon is added before correction.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float | None = None
    epsilon_form: EpsilonForm | None = None


class AdamW(_Optimizer, frozen=True, tag="adamw", kw_only=True):
    """Loshchilov & Hutter 2019: Adam with decay `learning_rate * weight_decay * w` of all."""

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float | None = None
    epsilon_form: EpsilonForm | None = None
    weight_decay: float | None = None


class Adadelta(_Optimizer, frozen=True, tag="adadelta", kw_only=True):
    """Zeiler 2012, with a learning rate."""

    learning_rate: float = 1e-3
    rho: float | None = None
    epsilon: float | None = None


class Adagrad(_Optimizer, frozen=True, tag="adagrad", kw_only=True):
    """Duchi, Hazan & Singer 2011. `epsilon_in_root` adds epsilon under the square root."""

    learning_rate: float = 1e-3
    initial_accumulator: float | None = None
    epsilon: float | None = None
    epsilon_in_root: bool | None = None


class SGD(_Optimizer, frozen=True, tag="sgd", kw_only=True):
    """Gradient descent, with momentum or Nesterov momentum.

    `velocity_form` says whether the learning rate multiplies the velocity when it is applied
    ("rate_outside") or when it is accumulated ("rate_inside"); they part when the rate changes.
    """

    learning_rate: float = 1e-2
    momentum: float = 0.0
    nesterov: bool = False
    velocity_form: VelocityForm | None = None


class RMSprop(_Optimizer, frozen=True, tag="rmsprop", kw_only=True):
    """Tieleman & Hinton 2012. `epsilon_in_root` adds epsilon under the square root."""

    learning_rate: float = 1e-3
    rho: float | None = None
    epsilon: float | None = None
    epsilon_in_root: bool | None = None


Optimizer = Adam | AdamW | Adadelta | Adagrad | SGD | RMSprop
OPTIMIZERS: dict[str, type[_Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "adadelta": Adadelta,
    "adagrad": Adagrad,
    "sgd": SGD,
    "rmsprop": RMSprop,
}


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to train. The loss is softmax cross-entropy of the logits, averaged over the batch,
    plus `l2 * sum(w ** 2)` for every kernel whose layer states an `l2`.

    `partial_batch` keeps or drops the last, smaller batch of an epoch.
    """

    optimizer: Optimizer = Adam()
    batch_size: int = 64
    epochs: int = 10
    partial_batch: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise SpecificationError(
                f"recipe: batch_size is {self.batch_size}; must be at least 1."
            )
        if self.epochs < 0:
            raise SpecificationError(f"recipe: epochs is {self.epochs}; must not be negative.")
        _check(self.optimizer)


def _check(optimizer: Optimizer) -> None:
    """Ranges of the stated fields."""
    below_one = ("beta_1", "beta_2", "rho", "momentum")
    for field in optimizer.__struct_fields__:
        value = getattr(optimizer, field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if field in below_one:
            good, rule = 0 <= value < 1, "must be in [0, 1)"
        elif field == "learning_rate":
            good, rule = 0 < value < float("inf"), "must be finite and positive"
        else:
            good, rule = 0 <= value < float("inf"), "must be finite and not negative"
        if not good:
            raise SpecificationError(f"recipe: {field} is {value}; {rule}.")
    if isinstance(optimizer, SGD) and optimizer.nesterov and not optimizer.momentum:
        raise SpecificationError("recipe: nesterov needs a momentum; state one, such as 0.9.")
