"""Names here of other frameworks' words, for messages."""

from __future__ import annotations

from collections.abc import Collection

from results.vocabulary import near_miss, unknown

_SEPARABLE = (
    'is two layers here: a conv with groups = "channels" and bias = false, then a conv with '
    "kernel = 1"
)
# What people write, and what to write here. Looked up before any near miss: a near miss by letters
# would recommend another function (gelu is not relu).
_HERE = {
    "swish": "is silu here",
    "hard_swish": "is not known; silu is the smooth function that it approximates",
    "leakyrelu": "is leaky_relu here; state its negative_slope, since the defaults differ",
    "lrelu": "is leaky_relu here; state its negative_slope, since the defaults differ",
    "logistic": "is sigmoid here",
    "identity": "is linear here",
    "none": "is linear here",
    "conv2d": "is conv here",
    "separable_conv": _SEPARABLE,
    "separableconv2d": _SEPARABLE,
    "depthwise_conv": 'is a conv with groups = "channels" here',
    "depthwiseconv2d": 'is a conv with groups = "channels" here',
    "linear_layer": "is dense here",
    "maxpool2d": "is max_pool here",
    "maxpooling2d": "is max_pool here",
    "avgpool2d": "is average_pool here",
    "averagepooling2d": "is average_pool here",
    "globalaveragepooling2d": "is global_average_pool here",
    "gap": "is global_average_pool here",
    "globalmaxpooling2d": "is global_max_pool here",
    "adaptiveavgpool2d": "is adaptive_average_pool here",
    "adaptivemaxpool2d": "is adaptive_max_pool here",
    "batchnormalization": "is batch_norm here",
    "batchnorm2d": "is batch_norm here",
    "layernormalization": "is layer_norm here",
    "layernorm": "is layer_norm here",
    "groupnorm": "is group_norm here",
    "dropout2d": 'is a dropout with per = "channel" here',
    "spatialdropout2d": 'is a dropout with per = "channel" here',
    "stochastic_depth": 'is a dropout with per = "picture" here, at a block\'s end',
    "drop_path": 'is a dropout with per = "picture" here, at a block\'s end',
    "instance_norm": "is a group_norm with as many groups as channels here",
    "rescaling": "is normalize here, of pictures already scaled to 0..1",
    "normalization": "is normalize here",
    "kaiming_uniform": "is he_uniform (fan in) or he_uniform_fan_out here; PyTorch's layers "
    "use torch_uniform",
    "kaiming_normal": "is he_normal (fan in) or he_normal_fan_out here",
    "xavier_uniform": "is glorot_uniform here",
    "xavier_normal": "is glorot_normal here",
}
_BY_NORM = 'is clipping = {name = "norm", limit = ..} of the recipe (--clipping norm,limit=..)'
_BY_ALL = (
    'is clipping = {name = "global_norm", limit = ..} of the recipe (--clipping '
    "global_norm,limit=..)"
)
_BY_VALUE = 'is clipping = {name = "value", limit = ..} of the recipe (--clipping value,limit=..)'
# Of an optimizer's and a schedule's fields, by what the frameworks call them.
_FIELDS_HERE = {
    "lr": "is learning_rate here",
    "eps": "is epsilon here",
    "b1": "is beta_1 here",
    "b2": "is beta_2 here",
    "betas": "is beta_1 and beta_2 here",
    "alpha": "is rho here (of rmsprop), or negative_slope",
    "decay": "is rho here; a decay of the weights is weight_decay",
    "gamma": "is factor here",
    "decay_rate": "is factor here",
    "milestones": "is at here",
    "boundaries": "is at here; Keras' boundaries are one step later",
    "step_size": "is every here",
    "decay_steps": 'is length here (of cosine and polynomial), or every; with per = "step" it '
    "counts steps",
    "transition_steps": 'is length here (of cosine and polynomial), or every; with per = "step" '
    "it counts steps",
    "t_max": "is length here",
    "total_iters": "is length here",
    "total_steps": "is length here",
    "t_0": "is length here",
    "t_mult": "is length_factor here",
    "t_mul": "is length_factor here",
    "m_mul": "is rate_factor here",
    "eta_min": "is end_rate here",
    "end_learning_rate": "is end_rate here",
    "max_lr": "is the optimizer's learning_rate here",
    "pct_start": "is rise here",
    "div_factor": "is start_divisor here",
    "final_div_factor": "is end_divisor here",
    **dict.fromkeys(("clipnorm", "clip_norm"), _BY_NORM),
    **dict.fromkeys(("global_clipnorm", "clip_grad_norm_", "clip_grad_norm"), _BY_ALL),
    **dict.fromkeys(("clipvalue", "clip_value", "clip_grad_value_"), _BY_VALUE),
    "nesterov": "belongs to sgd, with a momentum",
    "amsgrad": "belongs to adam and adamw",
    "weight_decay": "belongs to adamw, and to sgd and adam",
    "centered": "belongs to rmsprop",
    "momentum": "belongs to sgd and rmsprop; of adam it is beta_1",
    "decoupled_weight_decay": 'is decay_form = "decoupled" here',
    "exclude_from_weight_decay": "is not offered: the decay is of every weight",
    **dict.fromkeys(("phases", "stages", "unfreeze", "unfreeze_epoch"), "is rounds here"),
    "use_ema": "is not offered: no average of the weights is kept",
    "gradient_accumulation_steps": "is not offered; a larger batch_size is the same step",
    "warmup_steps": 'is warm_up = {length = .., per = "step"} in the recipe (--warm-up)',
}
# Of optimizers, schedules and losses, by what the frameworks call them, without underscores.
_PARTS_HERE = {
    "steplr": "step",
    "multisteplr": "multi_step",
    "piecewiseconstantdecay": "multi_step",
    "piecewiseconstantschedule": "multi_step",
    "exponentiallr": "exponential",
    "exponentialdecay": "exponential (or step, where it is a staircase)",
    "cosineannealinglr": "cosine",
    "cosinedecay": "cosine",
    "cosinedecayschedule": "cosine",
    "cosineannealingwarmrestarts": "cosine_restarts",
    "cosinedecayrestarts": "cosine_restarts",
    "sgdrschedule": "cosine_restarts",
    "polynomiallr": "polynomial",
    "polynomialdecay": "polynomial",
    "polynomialschedule": "polynomial",
    "onecyclelr": "one_cycle",
    "cosineonecycleschedule": "one_cycle",
    "linearlr": "warm_up, a field of the recipe (--warm-up)",
    "warmup": "warm_up, a field of the recipe (--warm-up)",
    "reducelronplateau": "reduce_on_plateau, a field of the recipe (--reduce-on-plateau)",
    "clipnorm": "norm",
    "clipbynorm": "norm",
    "globalclipnorm": "global_norm",
    "clipgradnorm": "global_norm",
    "clipbyglobalnorm": "global_norm",
    "clipvalue": "value",
    "clipgradvalue": "value",
    "constant": "a recipe without a schedule",
    **dict.fromkeys(
        ("categoricalcrossentropy", "sparsecategoricalcrossentropy", "crossentropyloss", "nllloss"),
        "cross_entropy, of the logits,",
    ),
    **dict.fromkeys(
        ("binarycrossentropy", "bceloss", "bcewithlogitsloss", "bce"),
        "binary_cross_entropy, of the logits,",
    ),
    **dict.fromkeys(("mse", "mseloss"), "mean_squared_error"),
    **dict.fromkeys(("rmse", "rootmeansquarederror"), "mean_squared_error with root = true"),
}
PART_OF_THE_LOSS = (
    "the output layer gives logits; the softmax is part of the loss, as a sigmoid is. Leave the "
    "activation out, and state the recipe's loss: cross_entropy (softmax), binary_cross_entropy "
    '(sigmoid), or mean_squared_error with outputs = "sigmoid"'
)


def known_word(value: str, known: Collection[str]) -> str:
    """` (remedy)` for a word that people write in other frameworks, or else the near miss."""
    if remedy := _HERE.get(value.lower().replace("-", "_")) or _HERE.get(_squeezed(value)):
        return f" ('{value}' {remedy})"
    return near_miss(value, known)


def known_field(name: str, known: Collection[str]) -> str:
    """` (remedy)` for the name of a recipe's field in other frameworks, or else the near miss."""
    remedy = _FIELDS_HERE.get(name.lower())
    return f" ('{name}' {remedy})" if remedy else near_miss(name, known)


def unknown_part(what: str, name: str, known: Collection[str]) -> str:
    """The message for a name of no optimizer, schedule or loss."""
    if here := _PARTS_HERE.get(_squeezed(name)):
        return f"unknown {what} '{name}' ('{name}' is {here} here). Known: {', '.join(known)}."
    return unknown(what, name, known)


def known_words(field: str, value: str, known: Collection[str]) -> str:
    """Remedy for an unknown word of a field: the word to write instead, and the known words."""
    if field in ("activation", "function") and value in ("softmax", "log_softmax"):
        return f" ({PART_OF_THE_LOSS})"
    number = "a number or " if field in ("filters", "units", "groups", "padding") else ""
    return f"{known_word(value, known)}; known: {number}{', '.join(known)}"


def _squeezed(value: str) -> str:
    return value.lower().replace("_", "").replace("-", "")
