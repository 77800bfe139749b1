"""Small networks that together hold every layer, field and value that a network can be written in.

Each is small enough for a climb of seconds; `python -m benchmarks.fidelity --coverage` says what
they reach.
"""

from __future__ import annotations

from frameworks.spec.architecture import Architecture, parse

_TEXTS = {
    # Strides, kernels and pools as pairs; zeros by number and by pair, other ones on each side of
    # rows and of columns; dilation, groups, no bias; a norm of the flattened picture. The constants
    # of the pictures are others in float32.
    "windows": """
    {type = "normalize", mean = [0.485, 0.456, 0.406], deviation = [0.3, 0.3, 0.3]},
    {type = "conv", filters = 6, kernel = [3, 2], stride = [1, 2], padding = [1, 0], bias = false},
    {type = "activation", function = "leaky_relu"},
    {type = "conv", filters = 6, kernel = 3, padding = [1, [0, 2]], groups = 3, bias = false},
    {type = "batch_norm"},
    {type = "max_pool", size = [3, 2], stride = [2, 1], padding = [1, [0, 1]]},
    {type = "conv", filters = 12, kernel = 3, dilation = [2, 1], groups = "channels", l2 = 0.0078},
    {type = "conv", filters = 9, kernel = 3, padding = "same", groups = 3, max_norm = 0.5},
    {type = "activation", function = "elu", alpha = 0.5},
    {type = "conv", filters = 5, kernel = 2, padding = "same", activation = "gelu"},
    {type = "average_pool", size = [2, 3], stride = [2, 1], padding = "same"},
    {type = "average_pool", size = [2, 3], stride = [1, 2], count_padding = true, padding = [
      1, [0, 1]]},
    {type = "average_pool", size = 2, stride = 1, padding = [0, 1], count_padding = true},
    {type = "adaptive_max_pool", size = [2, 3]},
    {type = "flatten"},
    {type = "batch_norm"},
    {type = "dense", units = 7, bias = false, activation = "softplus"},
    {type = "dense", units = "classes"},
    """,
    # Every function that bends beyond where a normed picture has values, on such values, and where
    # exp(x) is no number; norms within a picture, a strided convolution by channel, both forms of
    # gelu, adaptive pools of alike and of overlapping parts, zeros around a maximum of either sign,
    # a global maximum.
    "norms": """
    {type = "normalize", mean = [0.5, 0.5, 0.5], deviation = [
      0.0078125, 0.0078125, 0.000244140625]},
    {type = "activation", function = "leaky_relu"},
    {type = "activation", function = "elu"},
    {type = "activation", function = "gelu"},
    {type = "activation", function = "gelu", approximate = true},
    {type = "activation", function = "silu"},
    {type = "activation", function = "softplus"},
    {type = "activation", function = "relu"},
    {type = "conv", filters = 6, kernel = 2, stride = 2, bias = false, activation = "elu"},
    {type = "layer_norm", epsilon = 0.0625},
    {type = "activation", function = "gelu", approximate = true},
    {type = "conv", filters = 6, kernel = 1, activation = "gelu", approximate = true},
    {type = "conv", filters = 6, kernel = 3, stride = 2, padding = "same", groups = "channels"},
    {type = "group_norm", groups = 2, epsilon = 0.0625},
    {type = "activation", function = "leaky_relu", negative_slope = 0.25},
    {type = "adaptive_average_pool", size = [3, 4]},
    {type = "conv", filters = 8, kernel = 1, activation = "softplus"},
    {type = "conv", filters = 8, kernel = 1},
    {type = "max_pool", size = 2, stride = 1, padding = "same"},
    {type = "max_pool", size = 3, stride = 1, padding = 1},
    {type = "max_pool", size = [2, 3], stride = 1, padding = [0, 1]},
    {type = "adaptive_average_pool", size = 2},
    {type = "adaptive_max_pool", size = 1},
    {type = "global_max_pool"},
    {type = "layer_norm", epsilon = 0.0078125},
    {type = "dense", units = 6, activation = "elu"},
    {type = "dense", units = 6, activation = "gelu", approximate = true},
    {type = "dense", units = "classes"},
    """,
    # Forms that one framework has and others lack: asked of those that have them.
    "fast": """
    {type = "conv", filters = 4, kernel = 2, stride = 2},
    {type = "layer_norm", variance = "fast"},
    {type = "conv", filters = 4, kernel = 1, activation = "silu"},
    {type = "group_norm", groups = 2, variance = "fast"},
    {type = "global_average_pool"},
    {type = "dense", units = "classes"},
    """,
    # Identity and projection shortcuts, a block within a block, a dilated convolution, a head of a
    # convolution with zeros beyond its kernel.
    "blocks": """
    {type = "conv", filters = 6, kernel = 3, padding = "same", bias = false},
    {type = "batch_norm"},
    {type = "activation", function = "relu"},
    {type = "residual", activation = "relu", layers = [
      {type = "conv", filters = 6, kernel = 3, padding = "same", dilation = 2, bias = false},
      {type = "batch_norm"},
      {type = "activation", function = "relu"},
      {type = "conv", filters = 6, kernel = 3, padding = 1, bias = false},
      {type = "batch_norm"}]},
    {type = "residual", layers = [
      {type = "conv", filters = 8, kernel = 3, stride = 2, padding = 1, bias = false},
      {type = "batch_norm"},
      {type = "residual", activation = "silu", layers = [
        {type = "activation", function = "silu"},
        {type = "dropout", rate = 0.25},
        {type = "conv", filters = 8, kernel = 1}]}], shortcut = [
      {type = "average_pool", size = 3, stride = 1, padding = 1},
      {type = "conv", filters = 8, kernel = 1, stride = 2, bias = false},
      {type = "batch_norm"}]},
    {type = "conv", filters = "classes", kernel = 1, padding = 1},
    {type = "global_average_pool"},
    """,
    # Dropout of channels and of whole pictures; gates of channels (squeeze-and-excitation), of
    # pixels and of each value; a convolution by channel with strides as a pair; a ReLU that a
    # max-pool and a shortcut read; a norm and a function between the convolution of the classes and
    # the pool that ends it.
    "head": """
    {type = "conv", filters = 6, kernel = 3, stride = 2, padding = 1, activation = "silu"},
    {type = "dropout", rate = 0.25, per = "channel"},
    {type = "residual", layers = [
      {type = "conv", filters = 6, kernel = 3, padding = 1, activation = "silu"},
      {type = "gate", layers = [
        {type = "adaptive_average_pool", size = 1},
        {type = "conv", filters = 4, kernel = 1, activation = "silu"},
        {type = "conv", filters = 6, kernel = 1, activation = "sigmoid"}]},
      {type = "dropout", rate = 0.25, per = "picture"}]},
    {type = "gate", layers = [{type = "conv", filters = 1, kernel = 3, padding = 1}]},
    {type = "gate", layers = [
      {type = "batch_norm"}, {type = "dropout", rate = 0.25},
      {type = "gate", layers = [{type = "activation", function = "tanh"}]}]},
    {type = "conv", filters = 6, kernel = [3, 2], stride = [1, 2], groups = "channels"},
    {type = "activation", function = "relu"},
    {type = "residual", layers = [{type = "max_pool", size = 3, stride = 1, padding = 1}]},
    {type = "conv", filters = "classes", kernel = 3, padding = 1},
    {type = "batch_norm"},
    {type = "activation", function = "leaky_relu"},
    {type = "global_average_pool"},
    """,
    # Branches of one layer, of several, of none and of branches; scales of channels and of units;
    # the functions of mobile networks, on values beyond their kinks.
    "branches": """
    {type = "normalize", mean = [0.5, 0.5, 0.5], deviation = [0.0625, 0.0625, 0.0078125]},
    {type = "activation", function = "hard_swish"},
    {type = "activation", function = "mish"},
    {type = "activation", function = "selu"},
    {type = "concatenate", branches = [
      [],
      [{type = "conv", filters = 4, kernel = 3, padding = 1, activation = "hard_swish"},
       {type = "scale", initial = 0.5},
       {type = "dropout", rate = 0.25, per = "channel"}],
      [{type = "max_pool", size = 3, stride = 1, padding = 1},
       {type = "concatenate", branches = [
         [{type = "conv", filters = 2, kernel = [1, 3], padding = "same", activation = "mish"}],
         [{type = "conv", filters = 3, kernel = [3, 1], padding = "same", l2 = 0.0078}]]}]]},
    {type = "batch_norm"},
    {type = "activation", function = "relu6"},
    {type = "conv", filters = 6, kernel = 3, stride = 2, activation = "selu"},
    {type = "gate", layers = [
      {type = "adaptive_average_pool", size = 1},
      {type = "conv", filters = 4, kernel = 1, activation = "relu6"},
      {type = "conv", filters = 6, kernel = 1, activation = "hard_sigmoid"}]},
    {type = "concatenate", branches = [
      [{type = "activation", function = "relu"}, {type = "max_pool", size = 2}],
      [{type = "conv", filters = 5, kernel = 2, stride = 2, activation = "relu"}]]},
    {type = "flatten"},
    {type = "scale"},
    {type = "dense", units = 6, activation = "hard_swish"},
    {type = "dense", units = "classes"},
    """,
    # Strides that leave pixels over, and kernels of no whole number of steps; a dilated convolution
    # by channel; a max-pool behind a smooth function; kernels larger than their pictures.
    "tiny": """
    {type = "conv", filters = 4, kernel = 3, stride = 3, activation = "relu"},
    {type = "conv", filters = 4, kernel = 3, padding = "same", dilation = 2, groups = "channels"},
    {type = "activation", function = "tanh"},
    {type = "max_pool", size = 2},
    {type = "conv", filters = 5, kernel = [4, 3], padding = "same"},
    {type = "conv", filters = 6, kernel = [2, 3], stride = [1, 2], padding = "same"},
    {type = "flatten"},
    {type = "dense", units = "classes"},
    """,
}
VOCABULARY: dict[str, Architecture] = {
    name: parse(f"layers = [{text}]", origin=name, default_name=name)
    for name, text in _TEXTS.items()
}
