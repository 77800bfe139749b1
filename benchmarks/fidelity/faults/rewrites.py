"""Faults of one framework as changes of its own lines (siblings: torch, keras, flax, which patch by
functions)."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.fidelity.faults.rewritten import Rewrite
from results.vocabulary import Tuning

_T, _K, _F = "frameworks.torch.", "frameworks.keras.", "frameworks.flax."
_SCALED = "small-alone-loss-scaled-"
_J = "frameworks.jax."


class Lines(NamedTuple):
    """A user's mistake: the rung that should fail, the first letters of its case's name, and the
    lines that make it."""

    mistake: str
    rung: str
    case: str
    changes: tuple[Rewrite, ...]
    tuning: Tuning = "idiomatic"

    @property
    def framework(self) -> str:
        """The framework whose files are changed."""
        name = self.changes[0].place.split(".")[1]
        return "jax" if name == "flax" else name


FAULTS: dict[str, Lines] = {
    "zeros_of_rows_for_both": Lines(
        "padding=1 for padding=(1, 0)",
        "R1",
        "windows-",
        (Rewrite(f"{_T}model:_convolution", "padding=(rows[0], columns[0])", "padding=rows[0]"),),
    ),
    "zeros_uneven_by_rows_alone": Lines(
        "uneven zeros looked for in rows",
        "R1",
        "windows-",
        (Rewrite(f"{_T}model:_convolution", " or columns[0] != columns[1]:", ":"),),
    ),
    "maximum_among_zeros": Lines(
        "a max-pool padded with zeros",
        "R1",
        "norms-",
        (
            Rewrite(
                f"{_T}pools:max_pool",
                "nn.MaxPool2d(size, layer.steps, padding=(rows[0], columns[0]))",
                "nn.Sequential(nn.ZeroPad2d((*columns, *rows)), nn.MaxPool2d(size, layer.steps))",
            ),
        ),
    ),
    "zeros_never_counted": Lines(
        "count_padding left out where uneven",
        "R1",
        "windows-",
        (
            Rewrite(
                f"{_T}pools:average_pool",
                "    if not layer.count_padding:\n        pool.count_inside(source)\n",
                "    pool.count_inside(source)\n",
            ),
        ),
    ),
    "group_norm_epsilon": Lines(
        "group norm's epsilon never stated",
        "R1",
        "norms-",
        (
            Rewrite(
                f"{_T}model:_picture_norm",
                "nn.GroupNorm(layer.groups, source[-1], eps=layer.epsilon)",
                "nn.GroupNorm(layer.groups, source[-1], eps=1e-3)",
            ),
        ),
    ),
    "flat_order_of_kernels_alone": Lines(
        "a norm behind flatten loaded in Keras' row order",
        "R2",
        "windows-",
        (
            Rewrite(
                f"{_T}model:to_canonical", "if order is None", "if order is None or array.ndim < 2"
            ),
            Rewrite(
                f"{_T}model:from_canonical",
                "if order is not None:",
                "if order is not None and array.ndim == 2:",
            ),
        ),
    ),
    "relu6": Lines(
        "ReLU6 for ReLU",
        "R1",
        "norms-",
        (Rewrite(f"{_T}activations:function", "return nn.ReLU()\n", "return nn.ReLU6()\n"),),
    ),
    "leaky_slope_at_zero": Lines(
        "leaky_relu with slope 1 at zero",
        "R2",
        "steep-",
        (
            Rewrite(
                f"{_T}activations:function",
                "nn.LeakyReLU(given(layer.negative_slope))",
                'type("Leaky", (nn.Module,), {"forward": lambda _, x: '
                "x.where(x >= 0, x * given(layer.negative_slope))})()",
            ),
        ),
    ),
    "labels_alone_smoothed": Lines(
        "label smoothing left out for votes",
        "R1",
        "head-head-several_labels-7-float64",
        (
            Rewrite(
                f"{_T}losses:_towards",
                "and loss.label_smoothing:",
                'and loss.label_smoothing and loss.targets == "labels":',
            ),
        ),
    ),
    "votes_answered_above_zero": Lines(
        "answers of squares counted as of logits",
        "R5a",
        "head-head-votes-",
        (
            Rewrite(
                f"{_T}losses:BatchLoss.right", "(logits > middle(self.loss)) ==", "(logits > 0) =="
            ),
        ),
    ),
    "hat_of_first_group": Lines(
        "epsilon corrected in the first parameter group",
        "R3",
        "small-alone-layer-rates-adam_hat",
        (
            Rewrite(
                f"{_T}optimizers:AdamEpsilonHat.step",
                "self.param_groups:",
                "self.param_groups[:1]:",
            ),
        ),
    ),
    "decay_at_first_rate": Lines(
        "weights decayed at the first group's rate",
        "R3",
        "small-alone-layer-rates-decayed-",
        (
            Rewrite(
                f"{_T}optimizers:DecoupledSGD.step", 'group["lr"]', 'self.param_groups[0]["lr"]'
            ),
        ),
    ),
    "channels_dropped_in_part": Lines(
        "Dropout for Dropout2d",
        "R4",
        "masked_channels-",
        (Rewrite(f"{_T}model:_dropout", "nn.Dropout2d(layer.rate) if by_channel else ", ""),),
    ),
    "pictures_not_scaled": Lines(
        "own dropout without 1 / (1 - rate)",
        "R4",
        "masked_pictures-",
        (
            Rewrite(
                f"{_T}modules:PictureDropout.forward",
                "functional.dropout(x.new_ones((len(x), *(1,) * (x.dim() - 1))), self.rate)",
                "(torch.rand(len(x), *(1,) * (x.dim() - 1)) >= self.rate)",
            ),
        ),
    ),
    "random_state_not_restored": Lines(
        "resumed with the generator of now",
        "R4",
        "masked-own-",
        (
            Rewrite(
                f"{_T}backend:TorchBackend.set_random_state",
                'torch.set_rng_state(torch.from_numpy(state["cpu"].copy()))',
                "pass",
            ),
        ),
    ),
    "fan_in_for_fan_out": Lines(
        'kaiming without mode="fan_out"',
        "R0",
        "drawn-",
        (Rewrite(f"{_T}model:_fan_out", '"fan_out"', '"fan_in"'),),
    ),
    "state_shared_with_caller": Lines(
        "a loaded state over the caller's own memory",
        "R5d",
        "normed-life-adagrad-",
        (Rewrite(f"{_T}backend:TorchBackend._tensor", ", copy=True", ""),),
    ),
    "clipped_while_scaled": Lines(
        "clip_grad_norm_ ahead of scaler.unscale_",
        "R3",
        _SCALED,
        (
            Rewrite(
                f"{_T}backend:TorchBackend._scaled_step",
                "        self.scaler.unscale_(self.optimizer)\n        optimizers.clip(",
                "        optimizers.clip(",
            ),
        ),
    ),
    "scale_never_grows": Lines(
        "scaler.update(scale), of one's own",
        "R3",
        _SCALED,
        (
            Rewrite(
                f"{_T}backend:TorchBackend._scaled_step",
                "self.scaler.update()",
                "self.scaler.update(self.scaler.get_scale())",
            ),
        ),
    ),
    "loss_not_scaled": Lines(
        "scale_loss forgotten in a loop of one's own",
        "R5d",
        "normed-life-loss-scaled-",
        (Rewrite(f"{_K}loops:TensorFlowLoop._one", "self.optimizer.scale_loss(loss)", "loss"),),
        tuning="tuned",
    ),
    "gradient_left_scaled": Lines(
        "the gradient of a scaled loss applied as it is",
        "R3",
        _SCALED,
        (Rewrite(f"{_F}optimizers:scaled", "one / state.loss_scale.astype(one.dtype)", "one"),),
    ),
    "step_not_skipped": Lines(
        "a step whose gradient is not finite taken",
        "R3",
        _SCALED,
        (Rewrite(f"{_F}optimizers:scaled", "jnp.where(finite, new, old)", "new"),),
    ),
    "relu_delayed_past_a_shortcut": Lines(
        "a layer merged with one of its two readers",
        "R1",
        "head-words-",
        (
            Rewrite(
                f"{_T}tuned_model:TunedGalaxyNet.ordered",
                "if len(readers) == 1 else None",
                "if readers else None",
            ),
        ),
        tuning="tuned",
    ),
    "global_maximum_shared": Lines(
        "max over axes for a global max-pool",
        "R2",
        "tied-ties-",
        (
            Rewrite(
                f"{_K}pools:GlobalMaximum.call",
                'ops.max_pool(x, x.shape[1:3], strides=1, padding="valid")[:, 0, 0]',
                "ops.max(x, axis=(1, 2))",
            ),
        ),
    ),
    "sum_of_a_group": Lines(
        "loss not divided by the batches of a step",
        "R5d",
        "normed-life-accumulation-",
        (Rewrite(f"{_T}backend:TorchBackend._backward", "loss / group if group > 1", "loss if 1"),),
    ),
    "clipped_batch_by_batch": Lines(
        "gradients clipped before a group is whole",
        "R3",
        "small-alone-accumulation-",
        (
            Rewrite(
                f"{_T}backend:TorchBackend._update",
                "        if not",
                "        optimizers.clip(self.trainable, self.recipe.clipping)\n        if not",
            ),
        ),
    ),
    "resumed_at_a_batch": Lines(
        "Keras' count of batches resumed with that of steps",
        "R5d",
        "normed-life-accumulation-",
        (
            Rewrite(
                f"{_K}backend:KerasBackend.set_optimizer_state",
                "_iterations, batches)",
                '_iterations, state["step"])',
            ),
        ),
    ),
    "sum_of_mini_steps": Lines(
        "optax.MultiSteps(use_grad_mean=False)",
        "R3",
        "small-alone-accumulation-",
        (Rewrite(f"{_F}optimizers:grouped", "optimizer, batches,", "optimizer, batches, False,"),),
    ),
    "average_from_initial_weights": Lines(
        "an average that begins at the initial weights",
        "R3",
        "small-alone-average-accumulation-",
        (Rewrite(f"{_T}backend:TorchBackend._take_average", "step - 1", "step"),),
    ),
    "average_not_resumed": Lines(
        "an average left out of the checkpoint",
        "R5d",
        "normed-life-average-",
        (
            Rewrite(
                f"{_T}backend:TorchBackend.set_optimizer_state",
                'value.copy_(self._tensor(key, state[f"average/{key}"]))',
                "value.copy_(value)",
            ),
        ),
    ),
    "average_of_every_batch": Lines(
        "use_ema beside gradient_accumulation_steps",
        "R3",
        "small-alone-average-accumulation-",
        (
            Rewrite(
                f"{_K}optimizers:_Averaging.apply",
                "ops.where(stepped, share, ops.zeros_like(share))",
                "share",
            ),
        ),
    ),
    "average_not_debiased": Lines(
        "optax.ema(debias=False)",
        "R3",
        "small-alone-average-sgd-",
        (
            Rewrite(
                f"{_F}optimizers:AveragingOptimizer.take_average",
                "(decay - 1) / jnp.expm1(jnp.maximum(t, 1) * jnp.log(decay))",
                "1 - decay",
            ),
        ),
    ),
    "lion_decays_by_its_share": Lines(
        "Lion's weight decay without the rate",
        "R3",
        "small-alone-lion-",
        (Rewrite(f"{_T}optimizers:Lion.step", "1 - rate * group", "1 - group"),),
    ),
    "lion_with_adam_s_beta_2": Lines(
        "Lion with Adam's beta_2",
        "R3",
        "small-alone-lion-",
        (Rewrite(f"{_K}optimizers:make", "beta_2=spec.beta_2", "beta_2=0.999"),),
    ),
    "lion_betas_swapped": Lines(
        "Lion's betas the other way round",
        "R3",
        "small-alone-lion-",
        (
            Rewrite(
                f"{_F}optimizers:_optax",
                "optax.scale_by_lion(spec.beta_1, spec.beta_2)",
                "optax.scale_by_lion(spec.beta_2, spec.beta_1)",
            ),
        ),
    ),
    "multiplier_ahead_of_channels": Lines(
        "depthwise kernel reshaped multiplier first",
        "R1",
        "windows-",
        (
            Rewrite(
                f"{_K}model:DepthwiseConv2D.convolution_op",
                "ops.reshape(kernel, (height, width, channels, outputs // channels))",
                "ops.transpose(ops.reshape(kernel, (height, width, -1, channels)), (0, 1, 3, 2))",
            ),
        ),
    ),
    "layer_norm_fast_variance": Lines(
        "LayerNorm(use_fast_variance=True), the default",
        "R1",
        "dim-life-",
        (
            Rewrite(
                f"{_F}model:_picture_norm",
                '        "use_fast_variance": layer.variance == "fast",\n',
                "",
            ),
        ),
    ),
    "state_of_zeros_at_first": Lines(
        "a state read ahead of the first step as zeros",
        "R5d",
        "normed-life-adagrad-",
        (
            Rewrite(
                f"{_T}backend:TorchBackend.get_optimizer_state",
                "optimizers.initial_slot_value(spec)",
                "0.0",
            ),
        ),
    ),
    "masks_drawn_to_compile": Lines(
        "a generator that compiling moves on",
        "R4",
        "masked-own-",
        (
            Rewrite(
                f"{_T}backend:TorchBackend._unchanged",
                "with torch.random.fork_rng(devices=[0] if self._on_gpu else []):",
                "if True:",
            ),
        ),
    ),
    "constants_of_float32": Lines(
        "the pictures' mean passed through float32",
        "R1",
        "windows-",
        (
            Rewrite(
                f"{_K}model:Normalization.call",
                "constant(self.mean, x.dtype)",
                'ops.cast(ops.convert_to_tensor(self.mean, "float32"), x.dtype)',
            ),
        ),
    ),
    "overflow_in_the_other_branch": Lines(
        "elu whose exp(x) is no number where x is taken",
        "R2",
        "norms-",
        (
            Rewrite(
                f"{_K}activations:function",
                "ops.expm1(ops.minimum(x, constant(0, x.dtype)))",
                "ops.expm1(x)",
            ),
        ),
    ),
    "depthwise_stride_forgotten": Lines(
        "a convolution by channel without its stride",
        "R1",
        "norms-",
        (
            Rewrite(
                f"{_K}model:DepthwiseConv2D.convolution_op", "strides=self.strides,", "strides=1,"
            ),
        ),
    ),
    "decay_of_the_last_layers": Lines(
        "weight decay left at the factor of the last layers",
        "R3",
        "small-alone-layer-rates-decayed-",
        (
            Rewrite(
                f"{_K}optimizers:_LayerRates._apply_weight_decay",
                "\n        self.weight_decay = share",
                "",
            ),
        ),
    ),
    "group_norm_fast_variance": Lines(
        "GroupNorm(use_fast_variance=True), the default",
        "R1",
        "dim-life-",
        (
            Rewrite(
                f"{_F}model:_picture_norm",
                "num_groups=layer.groups, **settings)",
                'num_groups=layer.groups, **settings | {"use_fast_variance": True})',
            ),
        ),
    ),
    "mask_of_channels_shared": Lines(
        "broadcast_dims of every axis",
        "R4",
        "masked_channels-",
        (Rewrite(f"{_F}model:_module", "if size < whole)", "if size <= whole)"),),
    ),
    "last_pictures_alone": Lines(
        "a kernel's gradient of the last few pictures of a batch",
        "R2",
        "dim-life-",
        (
            Rewrite(
                f"{_J}convolution:_kernel_gradient",
                "return total + _plain(*turned), None",
                "return _plain(*turned), None",
            ),
        ),
        tuning="tuned",
    ),
    "zeros_the_other_way_round": Lines(
        "an input's gradient padded before for after",
        "R2",
        "windows-",
        (
            Rewrite(
                f"{_J}convolution:_backward",
                "((height - 1 - top, height - 1 - bottom)",
                "((height - 1 - bottom, height - 1 - top)",
            ),
        ),
        tuning="tuned",
    ),
}
