"""Faults of one framework as changes of its own lines (siblings: torch, keras, flax, which patch by
functions)."""

from __future__ import annotations

from benchmarks.fidelity.faults import rewrites_keras_flax
from benchmarks.fidelity.faults.rewritten import Lines, Rewrite

_T = "frameworks.torch."
_SCALED = "small-alone-loss-scaled-"

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
    "decay_of_the_spared": Lines(
        "biases decayed that the recipe spares",
        "R3",
        "small-alone-adamw_spared",
        (Rewrite(f"{_T}optimizers:make", "if spare else {}", "if False else {}"),),
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
    "branches_in_another_order": Lines(
        "branches joined last first",
        "R1",
        "branches-words-",
        (
            Rewrite(
                f"{_T}modules:Concatenate.forward", "self.children()", "[*self.children()][::-1]"
            ),
        ),
    ),
    "hardswish_for_silu": Lines(
        "x sigmoid(x) for hard_swish",
        "R1",
        "branches-words-",
        (Rewrite(f"{_T}activations:function", "nn.Hardswish()", "nn.SiLU()"),),
    ),
    "gate_detached": Lines(
        "a gate's input detached: no gradient through its layers",
        "R2",
        "head-words-",
        (
            Rewrite(
                f"{_T}modules:Gate.forward",
                "self.body(x, masks)",
                "self.body(x.detach(), masks)",
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
    "epsilon_of_a_norm_lost": Lines(
        "a clipping of one's own without the epsilon beside the norm",
        "R3",
        "small-alone-clipped-norm-added-",
        (Rewrite(f"{_T}optimizers:clip", "(norm + (clipping.epsilon or 0.0))", "norm"),),
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
    "lion_decays_by_its_share": Lines(
        "Lion's weight decay without the rate",
        "R3",
        "small-alone-lion-",
        (Rewrite(f"{_T}optimizers:Lion.step", "1 - rate * group", "1 - group"),),
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
    **rewrites_keras_flax.FAULTS,
}
