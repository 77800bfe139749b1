"""The frameworks' layers by the kinds of the specification: names, and arguments of fields."""

from __future__ import annotations

NAMES = {
    "torch": {
        **{"conv": "nn.Conv2d", "dense": "nn.Linear", "dropout": "nn.Dropout"},
        **{"batch_norm": "nn.BatchNorm2d", "layer_norm": "nn.LayerNorm"},
        **{"group_norm": "nn.GroupNorm", "rms_norm": "nn.RMSNorm"},
        **{"max_pool": "nn.MaxPool2d", "average_pool": "nn.AvgPool2d"},
        "adaptive_average_pool": "nn.AdaptiveAvgPool2d",
        "adaptive_max_pool": "nn.AdaptiveMaxPool2d",
        "conv_transpose": "nn.ConvTranspose2d",
        "attention": "nn.MultiheadAttention",
    },
    "keras": {
        **{"conv": "keras.layers.Conv2D", "depthwise": "keras.layers.DepthwiseConv2D"},
        **{"dense": "keras.layers.Dense", "dropout": "keras.layers.Dropout"},
        "batch_norm": "keras.layers.BatchNormalization",
        "layer_norm": "keras.layers.LayerNormalization",
        "group_norm": "keras.layers.GroupNormalization",
        "rms_norm": "keras.layers.RMSNormalization",
        "max_pool": "keras.layers.MaxPooling2D",
        "average_pool": "keras.layers.AveragePooling2D",
        "adaptive_average_pool": "keras.layers.AdaptiveAveragePooling2D",
        "adaptive_max_pool": "keras.layers.AdaptiveMaxPooling2D",
        "global_average_pool": "keras.layers.GlobalAveragePooling2D",
        "conv_transpose": "keras.layers.Conv2DTranspose",
        "attention": "keras.layers.MultiHeadAttention",
    },
    "flax": {
        **{"conv": "nnx.Conv", "dense": "nnx.Linear", "dropout": "nnx.Dropout"},
        **{"batch_norm": "nnx.BatchNorm", "layer_norm": "nnx.LayerNorm"},
        **{"group_norm": "nnx.GroupNorm", "rms_norm": "nnx.RMSNorm"},
        **{"max_pool": "nnx.max_pool", "average_pool": "nnx.avg_pool"},
        **{"conv_transpose": "nnx.ConvTranspose", "attention": "nnx.MultiHeadAttention"},
    },
}
# A field that is not here is an argument of its own name.
_ARGUMENTS = {
    "torch": {
        **{"epsilon": "eps", "rate": "p", "slope": "negative_slope", "size": "kernel_size"},
        **{"kernel": "kernel_size", "filters": "out_channels", "units": "out_features"},
        **{"count_padding": "count_include_pad", "heads": "num_heads"},
    },
    "keras": {
        **{"stride": "strides", "dilation": "dilation_rate", "size": "pool_size"},
        **{"kernel": "kernel_size", "slope": "negative_slope", "bias": "use_bias"},
        **{"l2": "kernel_regularizer", "max_norm": "kernel_constraint"},
        **{"multiplier": "depth_multiplier", "heads": "num_heads", "key_size": "key_dim"},
        "value_size": "value_dim",
    },
    "flax": {
        **{"stride": "strides", "dilation": "kernel_dilation", "size": "window_shape"},
        **{"kernel": "kernel_size", "filters": "out_features", "units": "out_features"},
        **{"slope": "negative_slope", "bias": "use_bias", "count_padding": "count_include_pad"},
        **{"kernel_initializer": "kernel_init", "bias_initializer": "bias_init"},
        **{"gamma_initializer": "scale_init", "variance": "use_fast_variance"},
        "heads": "num_heads",
    },
}
_OF_KIND = {
    **dict.fromkeys(
        [("torch", "group_norm", "groups"), ("flax", "group_norm", "groups")], "num_groups"
    ),
    ("flax", "conv", "groups"): "feature_group_count",
    **dict.fromkeys([(f, "attention", "attention_rate") for f in ("torch", "keras")], "dropout"),
    ("flax", "attention", "attention_rate"): "dropout_rate",
}


def argument(framework: str, kind: str, field: str) -> str:
    """The argument of a framework's layer for one of the specification's fields."""
    own = _ARGUMENTS[framework].get(field, field)
    return _OF_KIND.get((framework, kind, field), own)
