"""Faults of Keras and of Flax as changes of their own lines (sibling: rewrites)."""

from __future__ import annotations

from benchmarks.fidelity.faults.rewritten import Lines, Rewrite

_K, _F, _J = "frameworks.keras.", "frameworks.flax.", "frameworks.jax."

FAULTS: dict[str, Lines] = {
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
    "first_branch_last": Lines(
        "the first branch joined last",
        "R1",
        "branches-words-",
        (Rewrite(f"{_K}model:GalaxyNet._outputs", "[x, *others] if", "[*others, x] if"),),
    ),
    "softplus_of_a_sum": Lines(
        "softplus by logaddexp, whose slope at zero is 1",
        "R2",
        "steep-",
        (
            Rewrite(
                f"{_K}activations:_softplus",
                "return ops.where(x > 0, beyond,",
                "return ops.logaddexp(x, ops.zeros_like(x)) if 1 else ops.where(x > 0, beyond,",
            ),
        ),
    ),
    "hard_sigmoid_of_old_keras": Lines(
        "hard_sigmoid as Keras had it before 3: 0.2 x + 0.5",
        "R1",
        "branches-words-",
        (
            Rewrite(
                f"{_F}activations:function",
                "return nnx.hard_sigmoid",
                "return lambda x: jnp.clip(0.2 * x + 0.5, 0, 1)",
            ),
        ),
    ),
    "relu6_half_slope_at_zero": Lines(
        "relu6 of a maximum and a minimum: half the slope at zero",
        "R2",
        "steep-",
        (
            Rewrite(
                f"{_F}activations:function",
                "return jax.nn.relu6",
                "return lambda x: jnp.minimum(jnp.maximum(x, 0), 6)",
            ),
        ),
    ),
    "gate_added": Lines(
        "a gate added to what it gates",
        "R1",
        "head-words-",
        (Rewrite(f"{_K}model:keras_layer", "layers.Multiply(name", "layers.Add(name"),),
    ),
    "gate_of_the_batch": Lines(
        "a gate averaged over the pictures too",
        "R1",
        "head-words-",
        (
            Rewrite(
                f"{_F}modules:Gate.__call__",
                "x * self.body(x, masks, record)",
                "x * jnp.mean(self.body(x, masks, record), 0)",
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
                "ops.expm1(_below(x))",
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
    "factors_of_float32": Lines(
        "a layer's share of the rate passed through float32",
        "R3",
        "small-alone-layer-rates-inside-",
        (
            Rewrite(
                f"{_K}optimizers:_LayerRates._backend_update_step",
                "constant(factor, rate.dtype)",
                'ops.cast(constant(factor, "float32"), rate.dtype)',
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
    "pixels_left_over_taken": Lines(
        "a stride's first pixels left out, and not the last",
        "R1",
        "tiny-",
        (
            Rewrite(
                f"{_J}convolution:_strided",
                "images, 0, min(end, images.shape[axis]), axis=axis",
                "images, max(0, images.shape[axis] - end), images.shape[axis], axis=axis",
            ),
        ),
        tuning="tuned",
    ),
    "kernel_filled_up_in_front": Lines(
        "zeros ahead of a kernel of no whole number of steps",
        "R1",
        "tiny-",
        (Rewrite(f"{_J}convolution:_strided", "(0, wide - side)", "(wide - side, 0)"),),
        tuning="tuned",
    ),
    "small_pictures_padded_alike": Lines(
        "zeros the other way round where a kernel is larger than its picture",
        "R1",
        "tiny-",
        (
            Rewrite(
                f"{_J}convolution:_padded",
                "return lax.optimization_barrier(padded) if",
                "return lax.optimization_barrier(padded[:, ::-1]) if",
            ),
        ),
        tuning="tuned",
    ),
    "groups_of_eight_pictures": Lines(
        "a kernel's gradient by groups that begin at every eighth picture",
        "R2",
        "dim-life-",
        (
            Rewrite(
                f"{_J}convolution:_kernel_gradient",
                "array, number * size, size)",
                "array, number * TOGETHER, size)",
            ),
        ),
        tuning="tuned",
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
        "small-alone-loss-scaled-",
        (Rewrite(f"{_F}optimizers:scaled", "one / state.loss_scale.astype(one.dtype)", "one"),),
    ),
    "step_not_skipped": Lines(
        "a step whose gradient is not finite taken",
        "R3",
        "small-alone-loss-scaled-",
        (Rewrite(f"{_F}optimizers:scaled", "jnp.where(finite, new, old)", "new"),),
    ),
}
