"""R8: deliberate faults, each injected in one framework. A ladder that cannot fail is worth
nothing.

Here they are as data. What each changes is the function of its fault's name in `torch`, `keras` or
`flax` beside this file, which is imported in the framework's own process alone, or for faults that
any backend can have in `lifecycle`; or else changed lines of the framework's files, in `rewrites`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import get_args
from unittest.mock import patch

from benchmarks.fidelity.faults import lifecycle, replicas, rewrites
from benchmarks.fidelity.faults.rewritten import MovedError, rewritten
from frameworks.backend import framework as framework_of
from frameworks.spec.reading import SpecificationError
from results.vocabulary import Tuning, unknown

FAULTS = {"torch": "torch", "keras": "keras", "jax": "flax"}
REPLICAS = "R5e"  # the rung that a climb has if it is asked for by name, or is full
NETWORK = "unam"  # the user's, whose default climb is to kill every one


@dataclass(frozen=True)
class Mutant:
    """A fault: the framework it is injected in, what a user did wrong, the rung that should fail.

    cases: of the default climb, by the first letters of their names, those that are to kill it; by
    default one of a single batch for R1 and R2, else a whole training.
    fault: the function that injects it; by default that of its name.
    """

    name: str
    framework: str
    mistake: str
    rung: str
    cases: tuple[str, ...] = ()
    fault: str = ""
    tuning: Tuning = "idiomatic"

    @property
    def in_a_run(self) -> bool:
        """True if a plain `benchmarks.run` has to notice it too."""
        return (self.fault or self.name) in _IN_A_RUN

    @property
    def put_through(self) -> tuple[str, ...]:
        """The first letters of the names of its cases."""
        one_batch = self.rung in ("R1", "R2")
        return self.cases or (_SURE if one_batch else ("bait-life-adam-",))

    @property
    def command(self) -> str:
        """Command that kills the mutant, as a user types it for a network of their own."""
        tuned = " --tuning tuned" if self.tuning == "tuned" else ""
        tuned += f" --rungs {REPLICAS}" if self.rung == REPLICAS else ""
        return (
            f"python -m benchmarks.fidelity --frameworks {self.framework} "
            f"--architectures {NETWORK}{tuned}"
        )


_ADAM = ("small-alone-adam-50steps-10-float64",)
_ADAMW = ("small-alone-adamw-50steps-10-float64",)
_FLOAT32 = ("dim-life-",)
_LONG = ("normed-life-adamw_hat-",)
_NARROW = ("narrow-",)
_READ = ("normed-life-adagrad-",)  # batch by batch, at the rows of the data set
_SHORT = ("normed-life-adadelta-",)
_SURE = ("bait-sure-",)
_WEIGHTED = ("normed-life-nesterov-",)
_TWO = ("dealt-2replicas-",)
_THREE = ("dealt-3replicas-",)
_TORCH = [
    Mutant("channels_reversed", "torch", "pictures read as blue, green, red", "R1"),
    Mutant("pixels_over_256", "torch", "pixels divided by 256, not by 255", "R1"),
    Mutant("output_bias_not_loaded", "torch", "weights loaded, but the last layer's bias", "R0"),
    Mutant("kernel_axes_swapped", "torch", "square kernels loaded as width, height", "R1"),
    Mutant("dense_transposed", "torch", "square dense kernels loaded without transposing", "R1"),
    Mutant("flatten_order", "torch", "dense kernel after flatten loaded in Keras' row order", "R1"),
    Mutant("symmetric_padding", "torch", 'padding=1 written for stride-2 "same"', "R1"),
    Mutant("batch_norm_epsilon", "torch", "batch norm's epsilon left at PyTorch's 1e-5", "R1"),
    Mutant(
        "batch_norm_momentum", "torch", "batch norm's momentum copied from Keras as it is", "R5d"
    ),
    Mutant("unbiased_variance", "torch", "stock BatchNorm2d: unbiased running variance", "R5d"),
    Mutant("running_mean_frozen", "torch", "custom batch norm updates the variance alone", "R5d"),
    Mutant("bias_not_trained", "torch", "bias ahead of ReLU and batch norm left untrained", "R5d"),
    Mutant("mask_not_scaled", "torch", "dropout without 1 / (1 - rate)", "R1"),
    Mutant("mask_order", "torch", "flat mask drawn for row, column, channel left so", "R1"),
    Mutant("dropout_in_inference", "torch", "F.dropout(x) without training=self.training", "R1"),
    Mutant("inference_mode_forgotten", "torch", "model.eval() forgotten", "R1"),
    Mutant(
        "tf32_rounding", "torch", "TF32 left on: 10-bit inputs to conv and linear", "R1", _FLOAT32
    ),
    Mutant("loss_summed", "torch", 'cross-entropy with reduction="sum"', "R1"),
    Mutant("softmax_twice", "torch", "cross-entropy of probabilities, not logits", "R1"),
    Mutant("labels_shifted", "torch", "labels counted from 1", "R1"),
    Mutant(
        "class_weights_normalised", "torch", "CrossEntropyLoss(weight)'s own mean", "R5d", _WEIGHTED
    ),
    Mutant("l2_halved", "torch", "L2 as half the squared norm (tf.nn.l2_loss)", "R1"),
    Mutant("gradients_accumulated", "torch", "zero_grad() forgotten", "R5d"),
    Mutant("max_norm_missing", "torch", "Keras' kernel_constraint left out", "R5d"),
    Mutant("beta_2_of_099", "torch", "Adam with beta_2 = 0.99", "R3", _ADAM),
    Mutant("coupled_decay", "torch", "Adam(weight_decay=...) for AdamW", "R3", _ADAMW),
    Mutant(
        "rmsprop_epsilon",
        "torch",
        "stock RMSprop: epsilon outside the root",
        "R3",
        ("small-alone-rmsprop-50steps-10-float64",),
    ),
    Mutant("schedule_off_by_one", "torch", "scheduler stepped a step late", "R3", _ADAM),
    Mutant(
        "spread_as_variance",
        "torch",
        "running spread taken for the variance in inference",
        "R1",
        ("bait-life-adam-",),
    ),
    Mutant(
        "gamma_not_used",
        "torch",
        "gamma and beta left out in inference",
        "R1",
        ("bait-life-adam-",),
    ),
    Mutant("logits_scaled", "torch", "a temperature left in predict()", "R1", ("bait-life-adam-",)),
    Mutant("batches_shifted", "torch", "a batch taken off the loader for a look", "R5d", _SHORT),
    Mutant(
        "partial_batch_unweighted", "torch", "epoch loss as the mean of batch means", "R5d", _LONG
    ),
]
_REWRITTEN = [
    Mutant(name, one.framework, one.mistake, one.rung, (one.case,), tuning=one.tuning)
    for name, one in rewrites.FAULTS.items()
]
_KERAS = [
    Mutant("epsilon_hat", "keras", "stock Adam: epsilon added before bias correction", "R3", _ADAM),
    Mutant(
        "rate_in_velocity",
        "keras",
        "stock SGD under a schedule",
        "R3",
        ("small-alone-momentum-50steps-10-float64",),
    ),
    Mutant("probabilities_clipped", "keras", "softmax layer and from_logits=False", "R1", _SURE),
    Mutant("batches_shuffled", "keras", "fit(shuffle=True), the default", "R5d"),
]
_FLAX = [
    Mutant(
        "fast_variance", "jax", "BatchNorm(use_fast_variance=True), the default", "R1", _FLOAT32
    ),
    Mutant(
        "pool_stride_one", "jax", "max_pool without strides: 1, not the pool's size", "R1", _NARROW
    ),
    Mutant("padding_default", "jax", 'Conv without padding: "SAME"', "R1", _NARROW),
    Mutant("keep_probability", "jax", "dropout rate taken as the share kept", "R5d", _SHORT),
    Mutant(
        "nesterov_missing",
        "jax",
        "trace(momentum) without nesterov",
        "R3",
        ("small-alone-nesterov-50steps-10-float64",),
    ),
]

# Faults whose predictions, restored weights, order or state contradict each other within one run.
_IN_A_RUN = {
    "channels_reversed",
    "pixels_over_256",
    "kernel_axes_swapped",
    "dense_transposed",
    "flatten_order",
    "batch_norm_epsilon",
    "inference_mode_forgotten",
    "tf32_rounding",
    "spread_as_variance",
    "gamma_not_used",
    "logits_scaled",
    "batches_shuffled",
    "pool_stride_one",
    "padding_default",
    "later_batches_reversed",
    "last_batch_in_training_mode",
    "bfloat16_in_predict",
    "part_answered_as_before",
    "stale_predictions",
    "statistics_not_restored",
    "weights_set_once",
    "part_of_a_batch_dropped",
    "partial_batch_unweighted",
    "batches_shifted",
    "rows_of_first_epoch",
    "moments_lost_between_epochs",
    "rate_of_compile",
}

# Of every framework and tuning: (fault, mistake, rung, cases).
_EVERYWHERE: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "later_batches_reversed",
        "all pictures after the first batch predicted in the wrong order",
        "R5d",
        _SHORT,
    ),
    (
        "last_batch_in_training_mode",
        "last batch predicted in training mode",
        "R5d",
        _SHORT,
    ),
    ("bfloat16_in_predict", "bfloat16 left on in predict()", "R1", _FLOAT32),
    ("logits_clamped", "logits clamped to +-30 in predict()", "R1", _FLOAT32),
    ("loss_clamped", "logits clamped to +-20 in the loss", "R1", _SURE),
    ("not_square_read_by_columns", "width and height exchanged", "R5d", _SHORT),
    ("channels_swapped", "channels of 2 or 4 in reverse order", "R5d", _SHORT),
    (
        "part_answered_as_before",
        "the smaller last batch answered as the one before",
        "R5d",
        _SHORT,
    ),
    ("stale_predictions", "weights a constant of the compiled predict()", "R5d", _SHORT),
    ("statistics_not_restored", "best weights put back without moments", "R5d", _SHORT),
    ("weights_set_once", "best weights not put back", "R5d", _SHORT),
    ("rate_of_compile", "the learning rate baked in at compile time", "R5d", _SHORT),
    ("moments_not_restored", "resumed with the moments of now", "R5d", _SHORT),
    ("rows_of_first_epoch", "every epoch in the order of the first", "R5d", _READ),
    ("masks_of_first_epoch", "every epoch with the first one's masks", "R5d", _SHORT),
    (
        "moments_lost_between_epochs",
        "an optimizer made anew for every epoch",
        "R5d",
        _SHORT,
    ),
    ("step_lost_at_chunk", "a step lost at every boundary of 32", "R5d", _LONG),
    ("part_of_a_batch_dropped", "the smaller last batch left out", "R5d", _LONG),
    (
        "streamed_in_reverse",
        "streamed batches taken from the end",
        "R5d",
        ("normed-life-rmsprop-",),
    ),
    (
        "large_batches_cut",
        "no more than 32 pictures of a batch trained on",
        "R5d",
        ("normed-life-momentum_inside-",),
    ),
    ("one_copy_of_each", "augmented copies all the same", "R5d", _WEIGHTED),
    (
        "drawn_once",
        "every epoch's pictures as drawn in the first",
        "R5d",
        ("normed-life-rmsprop-",),
    ),
    ("not_drawn", "pictures trained on as they are", "R5d", ("normed-life-adagrad-",)),
    ("own_masks_again", "dropout seeded anew for every call", "R4", ("masked-own-",)),
    (
        "class_weights_lost_with_norm",
        "class weights left out beside batch norm",
        "R5d",
        _WEIGHTED,
    ),
    (
        "hat_taken_for_paper",
        "Adam's hat form computed as the paper's",
        "R3",
        ("small-alone-adam_hat-50steps-10-float64",),
    ),
    (
        "rate_left_outside",
        "velocity without the rate inside",
        "R3",
        ("small-alone-momentum_inside-50steps-10-float64",),
    ),
    (
        "biased_taken_for_unbiased",
        "unbiased running variance asked for, biased kept",
        "R5d",
        ("unbiased-life-",),
    ),
    ("decay_spares_norms", "AdamW spares gamma and beta", "R5d", _LONG),
    ("max_norm_axis", "max-norm of a kernel without its channels", "R5d", _SHORT),
    ("ties_shared", "the ties of a max-pool share its gradient", "R2", ("tied-ties-",)),
)
# Forms that a framework does not have, and so cannot have wrong.
_CANNOT = {("biased_taken_for_unbiased", "keras")}


# Of several replicas: fault, framework, mistake, cases.
_REPLICAS = [
    Mutant("wrapped_alone", "torch", "the model wrapped, and nothing else", "R5e", _TWO),
    Mutant("norm_of_each_replica", "torch", "batch norm of each replica's images", "R5e", _TWO),
    Mutant("norm_of_each_device", "keras", "batch norm of each device's images", "R5e", _TWO),
    Mutant("l2_of_each_replica", "torch", "L2 summed over the replicas", "R5e", _THREE),
    Mutant("mean_of_replica_means", "torch", "loss as the mean of replicas' means", "R5e", _TWO),
    Mutant(
        "rate_of_first_step",
        "torch",
        "every step of an epoch at the rate of its first",
        "R5e",
        ("dealt-2replicas-10-float64-frozen",),
    ),
    Mutant(
        "biased_over_replicas",
        "torch",
        "batch norm of all images that keeps the biased variance",
        "R5e",
        ("dealt-2replicas-10-float64-unbiased",),
    ),
    Mutant("remainder_dropped", "jax", "the rest of an uneven batch left out", "R5e", _TWO),
]


def _everywhere() -> Iterator[Mutant]:
    for fault, mistake, rung, cases in _EVERYWHERE:
        for name in FAULTS:
            for tuning in get_args(Tuning):
                if (fault, name) not in _CANNOT:
                    full = f"{fault}_{name}" + ("_tuned" if tuning == "tuned" else "")
                    yield Mutant(full, name, mistake, rung, cases, fault, tuning)


MUTANTS = {
    mutant.name: mutant
    for mutant in [*_TORCH, *_REWRITTEN, *_KERAS, *_FLAX, *_REPLICAS, *_everywhere()]
}


@contextmanager
def mutated(mutant: str, framework: str) -> Iterator[None]:
    """Run with the named fault in this process; the empty name is no fault.

    Raises:
        SpecificationError: no such mutant, or not one of this framework.
        MovedError: the code that it patches is elsewhere by now; the message names the mutant.
    """
    if not mutant:
        yield
        return
    if mutant not in MUTANTS:
        raise SpecificationError(unknown("mutant", mutant, MUTANTS))
    one = MUTANTS[mutant]
    if one.framework != framework:
        raise SpecificationError(
            f"mutant '{mutant}' is one of {one.framework}, not of {framework}."
        )
    with ExitStack() as stack:
        try:
            stack.enter_context(_injected(one))
        except (AttributeError, ImportError, MovedError) as error:
            raise MovedError(f"mutant '{mutant}' patches code that has moved: {error}") from error
        yield


@contextmanager
def _injected(one: Mutant) -> Iterator[None]:
    fault, framework = one.fault or one.name, one.framework
    if fault in rewrites.FAULTS:
        with rewritten(*rewrites.FAULTS[fault].changes):
            yield
        return
    of_replicas = fault in replicas.FAULTS
    if of_replicas or fault in lifecycle.FAULTS:
        kind = framework_of(framework).backend(one.tuning, 1 + of_replicas)
        methods = (replicas if of_replicas else lifecycle).FAULTS[fault](kind)
        with ExitStack() as stack:
            for name, method in methods.items():
                stack.enter_context(patch.object(kind, name, method))
            yield
        return
    faults = importlib.import_module(f"benchmarks.fidelity.faults.{FAULTS[framework]}")
    with getattr(faults, fault)():
        yield
