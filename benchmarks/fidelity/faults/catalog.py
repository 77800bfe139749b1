"""R8: deliberate faults, each injected in one framework. A ladder that cannot fail is worth
nothing.

Here they are as data. What each changes is the function of its name in `torch`,
`keras` or `flax` beside this file, which is imported in the framework's own process alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from frameworks.spec.reading import SpecificationError
from results.vocabulary import unknown

FAULTS = {"torch": "torch", "keras": "keras", "jax": "flax"}


@dataclass(frozen=True)
class Mutant:
    """A fault: the framework it is injected in, what a user did wrong, the rung that should fail.

    optimizer: name in `ladder.DYADIC` of the optimizer that it is run with.
    """

    name: str
    framework: str
    mistake: str
    rung: str
    optimizer: str = "adam"


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
        "batch_norm_momentum", "torch", "batch norm's momentum copied from Keras as it is", "R4"
    ),
    Mutant("unbiased_variance", "torch", "stock BatchNorm2d: unbiased running variance", "R4"),
    Mutant("running_mean_frozen", "torch", "custom batch norm updates the variance alone", "R4"),
    Mutant("bias_not_trained", "torch", "bias ahead of ReLU and batch norm left untrained", "R4"),
    Mutant("mask_not_scaled", "torch", "dropout without 1 / (1 - rate)", "R1"),
    Mutant("mask_order", "torch", "flat mask drawn for row, column, channel left so", "R1"),
    Mutant("dropout_in_inference", "torch", "F.dropout(x) without training=self.training", "R1"),
    Mutant("inference_mode_forgotten", "torch", "model.eval() forgotten", "R1"),
    Mutant("tf32_rounding", "torch", "TF32 left on: 10-bit inputs to conv and linear", "R1"),
    Mutant("loss_summed", "torch", 'cross-entropy with reduction="sum"', "R1"),
    Mutant("softmax_twice", "torch", "cross-entropy of probabilities, not logits", "R1"),
    Mutant("labels_shifted", "torch", "labels counted from 1", "R1"),
    Mutant("class_weights_normalised", "torch", "CrossEntropyLoss(weight)'s own mean", "R1"),
    Mutant("l2_halved", "torch", "L2 as half the squared norm (tf.nn.l2_loss)", "R1"),
    Mutant("gradients_accumulated", "torch", "zero_grad() forgotten", "R2"),
    Mutant("max_norm_missing", "torch", "Keras' kernel_constraint left out", "R4"),
    Mutant("beta_2_of_099", "torch", "Adam with beta_2 = 0.99", "R3"),
    Mutant("coupled_decay", "torch", "Adam(weight_decay=...) for AdamW", "R3", "adamw"),
    Mutant("rmsprop_epsilon", "torch", "stock RMSprop: epsilon outside the root", "R3", "rmsprop"),
    Mutant("schedule_off_by_one", "torch", "scheduler stepped a step late", "R3"),
    Mutant(
        "spread_as_variance", "torch", "running spread taken for the variance in inference", "R5a"
    ),
    Mutant("gamma_not_used", "torch", "gamma and beta left out in inference", "R5a"),
    Mutant("logits_scaled", "torch", "a temperature left in predict()", "R5a"),
    Mutant("batches_shifted", "torch", "a batch taken off the loader for a look", "R5a"),
    Mutant("partial_batch_dropped", "torch", "DataLoader(drop_last=True)", "R5a"),
    Mutant("partial_batch_unweighted", "torch", "epoch loss as the mean of batch means", "R5a"),
]
_KERAS = [
    Mutant("epsilon_hat", "keras", "stock Adam: epsilon added before bias correction", "R3"),
    Mutant("rate_in_velocity", "keras", "stock SGD under a schedule", "R3", "momentum"),
    Mutant("probabilities_clipped", "keras", "softmax layer and from_logits=False", "R1"),
    Mutant("batches_shuffled", "keras", "fit(shuffle=True), the default", "R5a"),
]
_FLAX = [
    Mutant("fast_variance", "jax", "BatchNorm(use_fast_variance=True), the default", "R1"),
    Mutant("pool_stride_one", "jax", "max_pool without strides: 1, not the pool's size", "R1"),
    Mutant("padding_default", "jax", 'Conv without padding: "SAME"', "R1"),
    Mutant("keep_probability", "jax", "dropout rate taken as the share kept", "R1"),
    Mutant("nesterov_missing", "jax", "sgd(momentum=...) without nesterov", "R3", "nesterov"),
]
MUTANTS = {mutant.name: mutant for mutant in [*_TORCH, *_KERAS, *_FLAX]}


@contextmanager
def mutated(mutant: str, framework: str) -> Iterator[None]:
    """Run with the named fault in this process; the empty name is no fault.

    Raises:
        SpecificationError: no such mutant, or not one of this framework.
    """
    if not mutant:
        yield
        return
    if mutant not in MUTANTS:
        raise SpecificationError(unknown("mutant", mutant, MUTANTS))
    home = MUTANTS[mutant].framework
    if home != framework:
        raise SpecificationError(f"mutant '{mutant}' is one of {home}, not of {framework}.")
    faults = importlib.import_module(f"benchmarks.fidelity.faults.{FAULTS[home]}")
    with getattr(faults, mutant)():
        yield
