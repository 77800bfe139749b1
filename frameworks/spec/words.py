"""Names here of other frameworks' words, for messages.

Words are looked up in small letters, without underscores, hyphens and the modules ahead of them:
`nn.Conv2d` is conv2d.
"""

from __future__ import annotations

from collections.abc import Collection

from results.vocabulary import near_miss

# What it is called here: the first that the place knows.
_RENAMED: dict[str, tuple[str, ...]] = {
    # functions and initialisers
    "swish": ("silu",),
    "hardsilu": ("hard_swish",),
    "logistic": ("sigmoid",),
    **dict.fromkeys(("identity", "none"), ("linear",)),
    "kaimingnormal": ("he_normal",),
    "xavieruniform": ("glorot_uniform",),
    "xaviernormal": ("glorot_normal",),
    # layers
    **dict.fromkeys(("conv2d", "convolution", "convolution2d"), ("conv",)),
    **dict.fromkeys(("linear", "fc", "fullyconnected", "linearlayer"), ("dense",)),
    **dict.fromkeys(("maxpool2d", "maxpooling2d", "maxpooling"), ("max_pool",)),
    **dict.fromkeys(("avgpool", "avgpool2d", "averagepooling2d"), ("average_pool",)),
    **dict.fromkeys(
        ("gap", "globalavgpool", "globalavgpool2d", "globalaveragepooling2d"),
        ("global_average_pool",),
    ),
    **dict.fromkeys(("globalmaxpool2d", "globalmaxpooling2d"), ("global_max_pool",)),
    "adaptiveavgpool2d": ("adaptive_average_pool",),
    "adaptivemaxpool2d": ("adaptive_max_pool",),
    **dict.fromkeys(("bn", "batchnorm1d", "batchnorm2d", "batchnormalization"), ("batch_norm",)),
    "layernormalization": ("layer_norm",),
    "groupnormalization": ("group_norm",),
    "normalization": ("normalize",),
    # fields of layers
    "kernelsize": ("kernel", "size"),
    **dict.fromkeys(("poolsize", "windowshape", "outputsize"), ("size",)),
    **dict.fromkeys(
        ("filters", "units", "outchannels", "outfeatures", "features", "neurons"),
        ("filters", "units"),
    ),
    **dict.fromkeys(("dilationrate", "kerneldilation"), ("dilation",)),
    **dict.fromkeys(("featuregroupcount", "numgroups"), ("groups",)),
    "usebias": ("bias",),
    **dict.fromkeys(("pad", "paddingmode"), ("padding",)),
    "kernelinit": ("kernel_initializer",),
    "biasinit": ("bias_initializer",),
    **dict.fromkeys(("gammainit", "scaleinit"), ("gamma_initializer",)),
    "kernelregularizer": ("l2",),
    "kernelconstraint": ("max_norm",),
    **dict.fromkeys(("act", "activation", "activationfn"), ("activation", "function")),
    **dict.fromkeys(("p", "droprate", "probability"), ("rate",)),
    **dict.fromkeys(("broadcastdims", "noiseshape"), ("per",)),
    "countincludepad": ("count_padding",),
    "usefastvariance": ("variance",),
    "std": ("deviation",),
    "body": ("layers",),
    "downsample": ("shortcut",),
    # fields of optimizers and schedules
    **dict.fromkeys(("lr", "rate"), ("learning_rate",)),
    "eps": ("epsilon",),
    "emamomentum": ("decay",),
    **dict.fromkeys(("b1", "beta1"), ("beta_1",)),
    **dict.fromkeys(("b2", "beta2"), ("beta_2",)),
    "alpha": ("rho", "negative_slope"),
    **dict.fromkeys(("gamma", "decayrate"), ("factor",)),
    "milestones": ("at",),
    **dict.fromkeys(("stepsize", "decaysteps", "transitionsteps"), ("every", "length")),
    **dict.fromkeys(("tmax", "totaliters", "totalsteps", "t0"), ("length",)),
    **dict.fromkeys(("tmult", "tmul"), ("length_factor",)),
    "mmul": ("rate_factor",),
    **dict.fromkeys(("etamin", "endlearningrate"), ("end_rate",)),
    "pctstart": ("rise",),
    "divfactor": ("start_divisor",),
    "finaldivfactor": ("end_divisor",),
    # fields of recipes
    **dict.fromkeys(("lrscheduler", "scheduler"), ("schedule",)),
    **dict.fromkeys(("criterion", "lossfn", "objective"), ("loss",)),
    **dict.fromkeys(("numepochs", "nepochs", "maxepochs"), ("epochs",)),
    "patience": ("early_stopping",),
    "startfromepoch": ("first_epoch",),
    "modelcheckpoint": ("keep_best",),
    "reducelronplateau": ("reduce_on_plateau",),
    "warmupepochs": ("warm_up",),
    **dict.fromkeys(("gradientclip", "gradclip", "clip"), ("clipping",)),
    "droplast": ("partial_batch",),
    **dict.fromkeys(("sampler", "weightedrandomsampler", "resample", "resampling"), ("sampling",)),
    **dict.fromkeys(("phases", "stages", "unfreeze", "unfreezeepoch"), ("rounds",)),
    **dict.fromkeys(
        ("ema", "emadecay", "averagedmodel", "modelema", "weightaveraging", "averagedweights"),
        ("average_weights",),
    ),
    **dict.fromkeys(
        ("accumulationsteps", "gradientaccumulation", "accumulategradbatches", "multisteps"),
        ("accumulation",),
    ),
    # optimizers, schedules, losses, clippings
    "steplr": ("step",),
    **dict.fromkeys(
        ("multisteplr", "piecewiseconstantdecay", "piecewiseconstantschedule"), ("multi_step",)
    ),
    "exponentiallr": ("exponential",),
    **dict.fromkeys(("cosineannealinglr", "cosinedecay", "cosinedecayschedule"), ("cosine",)),
    **dict.fromkeys(
        ("cosineannealingwarmrestarts", "cosinedecayrestarts", "sgdrschedule"),
        ("cosine_restarts",),
    ),
    **dict.fromkeys(("polynomiallr", "polynomialdecay", "polynomialschedule"), ("polynomial",)),
    **dict.fromkeys(("onecyclelr", "cosineonecycleschedule"), ("one_cycle",)),
    **dict.fromkeys(("mse", "mseloss", "squarederror"), ("mean_squared_error",)),
    **dict.fromkeys(("clipnorm", "clipbynorm"), ("norm",)),
    **dict.fromkeys(("globalclipnorm", "clipgradnorm", "clipbyglobalnorm"), ("global_norm",)),
    **dict.fromkeys(("clipvalue", "clipgradvalue"), ("value",)),
}
_SEPARABLE = (
    'is two layers here: a conv with groups = "channels" and bias = false, then a conv with '
    "kernel = 1"
)
_DEPTHWISE = 'is a conv with groups = "channels" here'
_BLOCK = 'is {type = "residual", layers = [..], shortcut = [..], activation = ".."} here'
_BRANCHES = 'is {type = "concatenate", branches = [[..], [..]]} here; an empty list hands x on'
_GATE = 'is {type = "gate", layers = [..]} here: x times its layers of x'
_BY_PICTURE = 'is a dropout with per = "picture" here, at a block\'s end'
_CLIPPING = 'is clipping = {{name = "{0}", limit = ..}} of the recipe (--clipping {0},limit=..)'
_KNOWN_ALREADY = "is left out: it comes from the layer ahead, or from the pictures"
_TUNING = "is left out: --tuning and --precision say how it is computed"
_LOGITS = "is {}, of the logits, here"
_OTHER = "is another function, and not offered"
_NOT_OFFERED = "is not offered"
PART_OF_THE_LOSS = (
    "the output layer gives logits; the softmax is part of the loss, as a sigmoid is. Leave the "
    "activation out, and state the recipe's loss: cross_entropy (softmax), binary_cross_entropy "
    '(sigmoid), or mean_squared_error with outputs = "sigmoid"'
)
# What is said of a word that no single name here stands for.
_TOLD: dict[str, str] = {
    # functions and initialisers
    "lrelu": "is leaky_relu here; state its negative_slope, since the defaults differ",
    **dict.fromkeys(("softmax", "logsoftmax"), f"is left out: {PART_OF_THE_LOSS}"),
    **dict.fromkeys(("gelunew", "gelutanh", "geluapproximate"), "is gelu, approximate = true here"),
    **dict.fromkeys(
        ("hardtanh", "prelu", "celu", "softsign", "glu"),
        _OTHER,
    ),
    "kaiminguniform": "is he_uniform (fan in) or he_uniform_fan_out here; PyTorch's layers use "
    "torch_uniform",
    # layers
    **dict.fromkeys(("separableconv", "separableconv2d"), _SEPARABLE),
    **dict.fromkeys(("depthwiseconv", "depthwiseconv2d"), _DEPTHWISE),
    **dict.fromkeys(("dropout2d", "spatialdropout2d"), 'is a dropout with per = "channel" here'),
    **dict.fromkeys(("stochasticdepth", "droppath"), _BY_PICTURE),
    **dict.fromkeys(
        ("instancenorm", "instancenorm2d"), "is a group_norm with as many groups as channels here"
    ),
    **dict.fromkeys(("layerscale", "channelscale"), 'is {type = "scale", initial = ..} here'),
    "rescaling": "is normalize here, of pictures already scaled to 0..1",
    **{
        name: f'is {{type = "activation", function = "{name}"}} here'
        for name in ("relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus", "selu", "mish")
    },
    **{
        name.replace("_", ""): f'is {{type = "activation", function = "{name}"}} here'
        for name in ("hard_swish", "hard_sigmoid", "relu6", "leaky_relu")
    },
    "identity": "is left out: it computes nothing",
    **dict.fromkeys(
        ("basicblock", "bottleneck", "block", "resblock", "residualblock", "shortcut", "add"),
        _BLOCK,
    ),
    **dict.fromkeys(
        (
            *("concat", "cat", "inception", "inceptionblock", "inceptionmodule", "branch"),
            *("denseblock", "denselayer", "fire", "firemodule"),
        ),
        _BRANCHES,
    ),
    **dict.fromkeys(
        (
            *("multiply", "mul", "seblock", "semodule", "selayer", "squeezeexcite"),
            *("squeezeandexcitation", "squeezeexcitation", "attentiongate"),
        ),
        _GATE,
    ),
    **dict.fromkeys(
        ("zeropadding2d", "zeropad2d", "constantpad2d"),
        "is padding = [rows, columns] here, of the conv or the pool behind it",
    ),
    **dict.fromkeys(("input", "inputlayer"), _KNOWN_ALREADY),
    **dict.fromkeys(("resizing", "randomresizedcrop"), "is --image-size"),
    **dict.fromkeys(("randomflip", "randomrotation"), "is augment of the recipe (--augment)"),
    **dict.fromkeys(
        (
            *("conv1d", "conv3d", "conv2dtranspose", "convtranspose2d", "upsampling2d", "upsample"),
            *(
                "lstm",
                "embedding",
                "multiheadattention",
                "reshape",
                "permute",
                "lambda",
            ),
            *(
                "gaussiannoise",
                "alphadropout",
                "localresponsenorm",
                "lrn",
            ),
            *("cropping2d", "reflectionpad2d", "sequential"),
        ),
        _NOT_OFFERED,
    ),
    # fields of layers
    **dict.fromkeys(
        (
            *("inchannels", "infeatures", "inputshape", "numfeatures", "normalizedshape", "axis"),
            *("startdim", "dataformat"),
        ),
        _KNOWN_ALREADY,
    ),
    **dict.fromkeys(("inplace", "dtype", "fused", "foreach", "jitcompile"), _TUNING),
    **dict.fromkeys(
        ("scale", "center", "affine", "trackrunningstats"),
        "is left out: gamma, beta and the running statistics are always there",
    ),
    "ceilmode": "is padding = [[0, n], [0, n]] here, n one less than the stride of the pool",
    **dict.fromkeys(("dampening", "maximize", "mixup", "callbacks"), _NOT_OFFERED),
    "depthmultiplier": "is filters here, so many times the channels",
    **dict.fromkeys(("rate", "p"), "belongs to dropout, where it is rate"),
    "keepprob": "is rate here, and 1 less it: the share dropped",
    # fields of optimizers, schedules and recipes
    "betas": "is beta_1 and beta_2 here",
    **dict.fromkeys(("beta1", "beta2"), "belongs to adam, adamw, adamax and lion"),
    "alpha": "is rho of rmsprop, or a layer's negative_slope",
    "boundaries": "is at here; Keras' boundaries are one step later",
    "maxlr": "is the optimizer's learning_rate here",
    **dict.fromkeys(("clipnorm",), _CLIPPING.format("norm")),
    **dict.fromkeys(("globalclipnorm", "clipgradnorm"), _CLIPPING.format("global_norm")),
    **dict.fromkeys(("clipvalue", "clipgradvalue"), _CLIPPING.format("value")),
    "nesterov": "belongs to sgd, with a momentum",
    "amsgrad": "belongs to adam and adamw",
    "weightdecay": "belongs to adamw, and to sgd and adam, and to lion; of a layer it is l2",
    "centered": "belongs to rmsprop",
    "momentum": "belongs to sgd, rmsprop and a batch_norm; of adam it is beta_1",
    "decay": "is rho of rmsprop, or momentum of a batch_norm; a decay of the weights is "
    "weight_decay, of the rate a schedule",
    "decoupledweightdecay": 'is decay_form = "decoupled" here',
    "excludefromweightdecay": 'is decayed = "kernels" of the optimizer here: biases and norms are '
    "spared",
    **dict.fromkeys(
        ("useema", "emamomentum"), "is average_weights of the recipe (--average-weights)"
    ),
    "emaoverwritefrequency": "is not offered: training goes on from the weights, not their average",
    "gradientaccumulationsteps": "is accumulation of the recipe (--accumulation)",
    "warmupsteps": 'is warm_up = {length = .., per = "step"} in the recipe (--warm-up)',
    "labelsmoothing": 'is loss = {name = "cross_entropy", label_smoothing = ..} here',
    "dropout": "is a layer of the network",
    # optimizers, schedules, losses
    **dict.fromkeys(
        (
            *("nadam", "radam", "lamb", "lars", "adafactor", "ftrl", "adabelief", "muon"),
            *("lbfgs", "asgd", "focal", "huber", "mae", "l1loss", "smoothl1loss", "kldivloss"),
            *(
                "kldivergence",
                "poisson",
                "hinge",
                "cosinesimilarity",
                "inversetimedecay",
                "lambdalr",
            ),
            *("cycliclr", "learningratescheduler", "sequentiallr", "noamlr"),
        ),
        _NOT_OFFERED,
    ),
    **dict.fromkeys(
        ("rmse", "rootmeansquarederror"), "is mean_squared_error with root = true here"
    ),
    "sgdw": "is sgd with a weight_decay here",
    "exponentialdecay": "is exponential (or step, where it is a staircase) here",
    **dict.fromkeys(("linearlr", "warmup"), "is warm_up, a field of the recipe (--warm-up), here"),
    **dict.fromkeys(
        ("warmupcosine", "warmupcosinedecayschedule"), "is cosine and the recipe's warm_up here"
    ),
    "linearschedule": "is polynomial with power = 1 here",
    "reducelronplateau": "is reduce_on_plateau, a field of the recipe (--reduce-on-plateau), here",
    **dict.fromkeys(("constant", "constantlr"), "is a recipe without a schedule here"),
    **dict.fromkeys(
        (
            *(
                "categoricalcrossentropy",
                "sparsecategoricalcrossentropy",
                "crossentropyloss",
                "nllloss",
            ),
            *("softmaxcrossentropy", "softmaxcrossentropywithintegerlabels"),
        ),
        _LOGITS.format("cross_entropy"),
    ),
    **dict.fromkeys(
        ("binarycrossentropy", "bceloss", "bcewithlogitsloss", "bce", "sigmoidbinarycrossentropy"),
        _LOGITS.format("binary_cross_entropy"),
    ),
}
# Fields that a recipe has in its optimizer.
_OF_THE_OPTIMIZER = (
    *("learning_rate", "epsilon", "rho", "beta_1", "beta_2"),
    *("momentum", "nesterov", "weight_decay", "decayed", "amsgrad", "centered"),
)


def here(word: str, known: Collection[str]) -> str:
    """` ('word' remedy)` for a word of another framework, or else the near miss among the known."""
    bare = word.rpartition(".")[2]
    key = _letters(bare)
    if key not in map(_letters, known):
        for name in (*_RENAMED.get(key, ()), *(x for x in _OF_THE_OPTIMIZER if _letters(x) == key)):
            if name in known:
                return f" ('{word}' is {name} here)"
            if name in _OF_THE_OPTIMIZER and "optimizer" in known:
                return f" ('{word}' is optimizer = {{name = .., {name} = ..}} here)"
        if key in _TOLD:
            return f" ('{word}' {_TOLD[key]})"
    return near_miss(bare, known)


def _letters(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def unknown_part(what: str, name: str, known: Collection[str]) -> str:
    """The message for a name of no optimizer, schedule, loss or clipping."""
    return f"unknown {what} '{name}'{here(name, known)}. Known: {', '.join(known)}."


def known_words(field: str, value: str, known: Collection[str]) -> str:
    """Remedy for an unknown word of a field: the word to write instead, and the known words."""
    number = "a number or " if field in ("filters", "units", "groups", "padding") else ""
    return f"{here(value, known)}; known: {number}{', '.join(known)}"
