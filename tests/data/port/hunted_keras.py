"""Programs of kinds that strangers write: nested, sliced, frozen, with penalties and noise."""

import keras
from keras import layers, ops


def _seq(*parts):
    return keras.Sequential([keras.Input((8, 8, 3)), *parts])


def _conv(activation=None, **given):
    return layers.Conv2D(8, 3, padding="same", activation=activation, **given)


def _head():
    return [layers.GlobalAveragePooling2D(), layers.Dense(5)]


def plain():
    return _seq(_conv("relu"), *_head())


def instance():
    norm = layers.GroupNormalization(groups=-1, epsilon=1e-5)
    return _seq(_conv(), norm, layers.ReLU(), *_head())


def cropped():
    return _seq(_conv("relu"), layers.Cropping2D(1), layers.Flatten(), layers.Dense(5))


def sliced():
    inputs = keras.Input((8, 8, 3))
    x = layers.Flatten()(_conv("relu")(inputs)[:, 1:-1, 1:-1, :])
    return keras.Model(inputs, layers.Dense(5)(x))


def padded():
    pad = layers.ZeroPadding2D(((1, 0), (1, 0)))
    return _seq(pad, layers.Conv2D(8, 3, activation="relu"), *_head())


def alpha():
    return _seq(_conv("selu"), layers.AlphaDropout(0.25), *_head())


def dropped():
    return _seq(_conv("relu"), layers.Dropout(0.2), *_head())


def always_dropped():
    inputs = keras.Input((8, 8, 3))
    x = layers.Dropout(0.2)(_conv("relu")(inputs), training=True)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


def resized():
    up = layers.UpSampling2D(2, interpolation="bilinear")
    return _seq(_conv("relu"), up, layers.MaxPooling2D(3), layers.Flatten(), layers.Dense(5))


def whole_norm():
    return _seq(_conv(), layers.LayerNormalization(axis=[1, 2, 3], epsilon=1e-5), *_head())


def six():
    return _seq(_conv(), layers.ReLU(max_value=6), _conv("relu6"), *_head())


def dilated():
    return _seq(_conv("relu", dilation_rate=2), *_head())


def active():
    words = ("softplus", "softsign", "elu", "exponential")
    return _seq(*map(_conv, words), *_head())


def gated():
    inputs = keras.Input((8, 8, 3))
    a, b = ops.split(_conv()(inputs), 2, axis=-1)
    x = layers.GlobalAveragePooling2D()(a * ops.sigmoid(b))
    return keras.Model(inputs, layers.Dense(5)(x))


def larger():
    inputs = keras.Input((8, 8, 3))
    x = layers.Maximum()([_conv("relu")(inputs), _conv("tanh")(inputs)])
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


def penalized():
    return _seq(_conv("relu"), layers.ActivityRegularization(l2=0.01), *_head())


def permuted():
    return _seq(_conv("relu"), layers.Permute((3, 1, 2)), layers.Flatten(), layers.Dense(5))


def _normed(**call):
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(_conv()(inputs), **call)
    x = layers.Flatten()(layers.MaxPooling2D()(layers.ReLU()(x)))
    return keras.Model(inputs, layers.Dense(5)(x))


def normed():
    return _normed()


def frozen_norm():
    return _normed(training=False)


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
of_probabilities = "sparse_categorical_crossentropy"
smooth = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
_halved = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True)
falling = keras.optimizers.SGD(_halved, momentum=0.9)
clipped = keras.optimizers.SGD(0.1, global_clipnorm=0.01)
nadam = keras.optimizers.Nadam(1e-3, epsilon=1e-8)
adamax = keras.optimizers.Adamax(1e-3, epsilon=1e-8)
adam = keras.optimizers.Adam(1e-3, epsilon=1e-30)


def probable():
    return _seq(_conv("relu"), layers.GlobalAveragePooling2D(), layers.Dense(5, "softmax"))


lion = keras.optimizers.Lion(1e-3, weight_decay=0.01, gradient_accumulation_steps=2)
averaged = keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.95)
overwritten = keras.optimizers.SGD(
    0.1, momentum=0.9, use_ema=True, ema_momentum=0.95, ema_overwrite_frequency=100
)
_inner = keras.optimizers.SGD(0.1, momentum=0.9)
scaled = keras.optimizers.LossScaleOptimizer(_inner, initial_scale=1024.0)
huge = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-4), initial_scale=2.0**127)
fixed = keras.optimizers.SGD(0.1, momentum=0.9, loss_scale_factor=1024.0)
_ema = {"use_ema": True, "ema_momentum": 0.95}
grouped = keras.optimizers.Lion(1e-3, weight_decay=0.01, gradient_accumulation_steps=2, **_ema)
