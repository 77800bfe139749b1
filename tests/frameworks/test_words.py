"""Words of other frameworks are answered with what they are called here."""

import pytest

from frameworks.spec.architecture import parse
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import from_table

OUTPUT = '{type = "flatten"}, {type = "dense", units = "classes"}'
# (the table of a layer, where, what is said)
LAYERS = """
type = "Conv2D" | field 'type' | is conv here
type = "nn.Linear" | field 'type' | is dense here
type = "BatchNorm2d" | field 'type' | is batch_norm here
type = "BatchNormalization" | field 'type' | is batch_norm here
type = "MaxPool2d" | field 'type' | is max_pool here
type = "AvgPool" | field 'type' | is average_pool here
type = "GlobalAveragePooling2D" | field 'type' | is global_average_pool here
type = "layers.Flatten" | field 'type' | did you mean 'flatten'
type = "ReLU" | field 'type' | is {type = "activation", function = "relu"} here
type = "Softmax" | field 'type' | the softmax is part of the loss
type = "SeparableConv2D" | field 'type' | is two layers here
type = "DepthwiseConv2D" | field 'type' | is a conv with groups = "channels" here
type = "ZeroPadding2D" | field 'type' | is padding = [rows, columns] here
type = "SqueezeExcitation" | field 'type' | is {type = "gate"
type = "torch.cat" | field 'type' | is {type = "concatenate"
type = "Hardswish" | field 'type' | is {type = "activation", function = "hard_swish"} here
type = "BasicBlock" | field 'type' | is {type = "residual"
type = "LSTM" | field 'type' | is not offered
type = "conv", kernel_size = 3 | 'kernel_size' | is kernel here
type = "max_pool", kernel_size = 3 | 'kernel_size' | is size here
type = "max_pool", ceil_mode = true | 'ceil_mode' | is padding = [[0, n], [0, n]] here
type = "conv", out_channels = 3 | 'out_channels' | is filters here
type = "conv", units = 3 | 'units' | is filters here
type = "dense", features = 3 | 'features' | is units here
type = "dense", filters = 3 | 'filters' | is units here
type = "dense", in_features = 3 | 'in_features' | comes from the layer ahead
type = "conv", strides = 3 | 'strides' | did you mean 'stride'
type = "conv", rate = 2 | 'rate' | belongs to dropout
type = "dropout", p = 0.5 | 'p' | is rate here
type = "batch_norm", eps = 1e-3 | 'eps' | is epsilon here
type = "batch_norm", decay = 0.9 | 'decay' | or momentum of a batch_norm
type = "conv", momentum = 0.9 | 'momentum' | a batch_norm
type = "conv", kernel_regularizer = 1e-3 | 'kernel_regularizer' | is l2 here
type = "conv", filters = 2, kernel = 3, activation = "swish" | field 'activation' | is silu here
type = "conv", filters = 2, kernel = 3, activation = "hardtanh" | 'activation' | not offered
type = "conv", filters = 2, kernel = 3, activation = "None" | field 'activation' | is linear here
type = "dense", units = 4, activation = "softmax" | 'activation' | the softmax is part of the loss
"""
RECIPES = """
optimizer | adamw_ | did you mean 'adamw'
optimizer | torch.optim.Adam | did you mean 'adam'
optimizer | nadam | is not offered
optimizer.use_ema | 1 | average_weights of the recipe
optimizer.gradient_accumulation_steps | 2 | accumulation of the recipe
optimizer.clipnorm | 1 | clipping = {name = "norm", limit = ..}
optimizer.clip_grad_norm_ | 1 | clipping = {name = "global_norm", limit = ..}
optimizer.nesterov | true | belongs to sgd
optimizer.lr | 1 | is learning_rate here
optimizer.betas | 1 | is beta_1 and beta_2 here
optimizer.eps | 1 | is epsilon here
optimizer.decay | 1 | of the weights is weight_decay, of the rate a schedule
lr | 1 | is optimizer = {name = .., learning_rate = ..} here
weight_decay | 1 | is optimizer = {name = .., weight_decay = ..} here
amsgrad | true | is optimizer = {name = .., amsgrad = ..} here
num_epochs | 1 | is epochs here
label_smoothing | 1 | is loss = {name = "cross_entropy"
loss | categorical_crossentropy | is cross_entropy, of the logits, here
loss | BCEWithLogitsLoss | is binary_cross_entropy, of the logits, here
loss | mse | is mean_squared_error here
schedule | ReduceLROnPlateau | is reduce_on_plateau, a field of the recipe
schedule | StepLR | is step here
schedule | CosineDecay | is cosine here
schedule | OneCycleLR | is one_cycle here
"""


def rows(text: str) -> list[list[str]]:
    return [[part.strip() for part in line.split(" | ")] for line in text.strip().splitlines()]


@pytest.mark.parametrize(("layer", "where", "said"), rows(LAYERS))
def test_a_layer_s_word_is_answered(layer: str, where: str, said: str) -> None:
    with pytest.raises(SpecificationError) as raised:
        parse(f"layers = [{{{layer}}}, {OUTPUT}]", origin="mine.toml", default_name="mine")
    assert str(raised.value).startswith("mine.toml: layer 1")
    assert where in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(("field", "value", "said"), rows(RECIPES))
def test_a_recipe_s_word_is_answered(field: str, value: str, said: str) -> None:
    part, _, inner = field.partition(".")
    table = {part: {"name": "rmsprop", inner: value} if inner else value}
    with pytest.raises(SpecificationError) as raised:
        from_table(table, "mine.toml: [recipe]")
    assert str(raised.value).startswith("mine.toml: [recipe]")
    assert (inner or value if part in ("optimizer", "loss", "schedule") else field) in str(
        raised.value
    )
    assert said in str(raised.value)
