"""Loss, optimizer and schedule of a Keras program."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.port.operation import PortError, Recipe
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.program import PROBED, listed, scale_words, targets

_KINDS = {
    **{"AdamW": "adam", "Adam": "adam", "SGD": "sgd", "RMSprop": "rmsprop", "Adagrad": "adagrad"},
    **{"Adadelta": "adadelta", "Adamax": "adamax", "Nadam": "nadam", "Lion": "lion"},
}
_CONSTANTS = {  # Keras' name to ours
    **{k: k for k in ("epsilon", "beta_1", "beta_2", "amsgrad", "momentum", "nesterov", "rho")},
    **{k: k for k in ("centered", "weight_decay")},
    "gradient_accumulation_steps": "accumulation",
    "initial_accumulator_value": "initial_accumulator",
}
_AVERAGE = {"use_ema": "average_weights", "ema_momentum": "average_weights"}
_AVERAGE["ema_overwrite_frequency"] = "average_overwrite_frequency"
_SCALE = {"initial_scale": "loss_scale", "loss_scale_factor": "loss_scale"}
_SCALE["dynamic_growth_steps"] = "loss_scale_interval"
_OURS = {ours: theirs for theirs, ours in _CONSTANTS.items()}
_CLIPPING = {
    "clipnorm": "norm of each tensor",
    "global_clipnorm": "norm of all gradients",
    "clipvalue": "each value",
}


def _first(schedule: Any) -> float:
    """The rate of the first step, as stated where it is: a schedule gives it in float32."""
    computed = float(schedule(0))
    stated = getattr(schedule, "initial_learning_rate", computed)
    near = abs(float(stated) - computed) <= 1e-6 * abs(computed)
    return float(stated) if near else computed


def config_of(optimizer: Any) -> dict[str, Any]:
    """The configuration of an optimizer, also where its schedule has none."""
    schedule = optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return dict(optimizer.get_config())
    optimizer._learning_rate = 0.0
    try:
        return dict(optimizer.get_config())
    finally:
        optimizer._learning_rate = schedule


class Training:
    """Loss and optimizer of a program; each part may be None.

    loss: a loss, its name, or a function of (truth, outputs). optimizer: one, or its name.
    """

    def __init__(self, loss: Any, optimizer: Any) -> None:
        if inspect.isclass(loss):
            loss = loss()
        self.loss = keras.losses.get(loss) if isinstance(loss, str) else loss
        if optimizer is not None and not isinstance(optimizer, keras.optimizers.Optimizer):
            optimizer = keras.optimizers.get(optimizer() if callable(optimizer) else optimizer)
        self.scaling = None  # a LossScaleOptimizer around it
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            self.scaling, optimizer = optimizer, optimizer.inner_optimizer
        self.optimizer = optimizer
        self.changes: dict[str, Any] = {}
        self.targets = ""  # the form that the other program's loss takes

    def loss_of(self, out: Any, labels: np.ndarray) -> Any:
        """The loss of a batch; what gives one number for each picture is averaged."""
        truth = ops.convert_to_tensor(targets(labels, tuple(out.shape), self.target_form()))
        found = self.loss(truth, out)
        return ops.mean(found) if len(found.shape) else found

    def target_form(self) -> str:
        """sparse, one_hot or binary."""
        return self._form() or self.targets or "one_hot"

    def _form(self) -> str:
        """The same; "" of a function of the user's own."""
        fn = getattr(self.loss, "fn", self.loss)
        module = getattr(fn, "__module__", type(self.loss).__module__) or ""
        usual = "one_hot" if module.startswith("keras") else ""
        return next((form for form in ("sparse", "binary") if form in self._name()), usual)

    def _name(self) -> str:
        fn = getattr(self.loss, "fn", self.loss)
        return str(getattr(fn, "__name__", type(fn).__name__)).lower()

    def _loss(self) -> dict[str, Any]:
        if self.loss is None:
            return {}
        name, config = self._name(), {}
        if isinstance(self.loss, keras.losses.Loss):
            config = {**self.loss.get_config(), **getattr(self.loss, "_fn_kwargs", {})}
            fn = getattr(self.loss, "fn", None)
            module = getattr(fn, "__module__", type(self.loss).__module__)
        else:
            module = getattr(self.loss, "__module__", "")
        reduction = {"sum_over_batch_size": "mean", "auto": "mean"}
        found = {
            "reduction": reduction.get(*[config.get("reduction", "mean")] * 2),
            "class_weights": None,
        }
        if not module.startswith("keras"):
            return {"kind": f"unread:{name}"}
        if name in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
            takes = "logits" if config.get("from_logits") else "probabilities"
            smoothing = float(config.get("label_smoothing", 0.0))
            return {"kind": "cross_entropy", "takes": takes, "label_smoothing": smoothing, **found}
        if name == "binary_crossentropy":
            takes = "logits" if config.get("from_logits") else "probabilities"
            if smoothing := float(config.get("label_smoothing", 0.0)):
                found["label_smoothing"] = smoothing
            return {"kind": "binary_cross_entropy", "takes": takes, **found}
        if name in ("mean_squared_error", "mean_absolute_error"):
            return {"kind": name, **found}
        return {"kind": f"unread:{name}"}

    def fresh(self, *, scheduled: bool = False) -> Any:
        """The optimizer without state, at the largest rate of its schedule and without a scale of
        the loss, unless `scheduled`."""
        if self.optimizer is None:
            raise PortError("the program has no optimizer; name one with --optimizer", status=4)
        config = config_of(self.optimizer)
        schedule = self.optimizer._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            # rates by step are compared apart
            largest = max([_first(schedule), *(float(schedule(n)) for n in PROBED[1:])])
            config["learning_rate"] = schedule if scheduled else largest
        if not scheduled:
            config["loss_scale_factor"] = None
        made = type(self.optimizer).from_config({**config, **self.changes})
        for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
            if hasattr(self.optimizer, name):
                setattr(made, name, getattr(self.optimizer, name))
        if self.scaling is None or not scheduled:
            return made
        scale, interval = self.scaling.initial_scale, self.scaling.dynamic_growth_steps
        return keras.optimizers.LossScaleOptimizer(made, scale, interval)

    def change(self, constant: str, value: Any) -> bool:
        """Set a constant of the optimizer; False where it has none of that name."""
        name = "learning_rate" if constant == "learning_rate" else _OURS.get(constant)
        if name is None or name not in config_of(self.optimizer):
            return False
        self.changes[name] = int(value) if constant == "accumulation" and value else value
        return True

    def recipe(self, variables: list[Any], roles: dict[str, str]) -> Recipe:
        """Loss, optimizer and rates, in the words of all frameworks.

        Args:
            variables: trained ones. roles: of weights by path.
        """
        made = CALLS.of(self.loss)
        found = Recipe(loss=self._loss(), loss_stated=made.stated, loss_where=made.where)
        found.loss_targets = self._form()
        if self.optimizer is None:
            return found
        how, optimizer = CALLS.of(self.optimizer), self.optimizer
        config = config_of(optimizer)
        name = next(  # of the user's own class its nearest one of Keras
            c.__name__ for c in type(optimizer).__mro__ if c.__module__.startswith("keras")
        )
        kind = _KINDS.get(name, f"unread:{type(optimizer).__name__}")
        constants: dict[str, Any] = {"kind": kind}
        constants |= {
            ours: config[theirs] for theirs, ours in _CONSTANTS.items() if theirs in config
        }
        if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            schedule = optimizer._learning_rate
            found.rates = {n: float(schedule(n)) for n in PROBED}
            found.rates[0] = _first(schedule)
            constants["learning_rate"] = max(found.rates.values())
        else:
            constants["learning_rate"] = float(config["learning_rate"])
        if not constants["accumulation"]:
            del constants["accumulation"]
        if kind == "adam":
            constants["epsilon_form"] = "hat"
        if kind == "nadam":
            constants["momentum_decay"] = 1.0
        if kind == "adamax":
            constants["epsilon_form"] = "after the maximum"
        if kind in ("rmsprop", "adagrad"):
            constants["epsilon_in_root"] = True
        if kind in ("sgd", "rmsprop") and constants.get("momentum"):
            constants["velocity_form"] = "rate_inside"
        constants["weight_decay"] = float(config.get("weight_decay") or 0.0)
        if constants["weight_decay"]:
            constants["decay_form"] = "decoupled"
            left = {roles[v.path] for v in variables if not optimizer._use_weight_decay(v)}
            constants["undecayed"] = listed(left)
        for option, word in _CLIPPING.items():
            if config.get(option):
                constants |= {"clipping": word, "clipping_limit": float(config[option])}
        if config.get("use_ema"):
            constants["average_weights"] = float(config["ema_momentum"])
            constants["average_start"] = "first"
            if "accumulation" in constants:
                constants["average_each_batch"] = True  # of a group too
            if every := config["ema_overwrite_frequency"]:
                constants["average_overwrite_frequency"] = int(every)
        if self.scaling is not None:
            growth = self.scaling.dynamic_growth_steps
            constants |= scale_words(self.scaling.initial_scale, growth)
        elif fixed := config.get("loss_scale_factor"):
            constants |= {"loss_scale": float(fixed), "loss_scale_interval": "never"}
        found.optimizer = {k: float(v) if type(v) is int else v for k, v in constants.items()}
        words = _CONSTANTS | _AVERAGE | _SCALE | dict.fromkeys(_CLIPPING, "clipping")
        outer = [] if self.scaling is None else ["initial_scale", *CALLS.of(self.scaling).stated]
        stated = {words.get(s, s) for s in [*how.stated, *outer]}
        found.optimizer_stated = sorted(stated & set(found.optimizer))
        found.optimizer_where = how.where
        return found
