"""Programs as strangers write them: classes, keras.ops, squeeze and excite, decay for some."""

import keras
from keras import layers, ops


class Listed(keras.Model):
    def __init__(self):
        super().__init__()
        self.convs = [layers.Conv2D(8, 3, padding="same") for _ in range(2)]
        self.norms = [layers.BatchNormalization(momentum=0.9, epsilon=1e-5) for _ in range(2)]
        self.out = layers.Dense(5)

    def call(self, x, training=None):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = keras.activations.relu(norm(conv(x), training=training))
        return self.out(layers.GlobalAveragePooling2D()(x))


def computed():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    x = ops.concatenate([ops.relu(x), keras.activations.gelu(x, approximate=True)], axis=-1)
    x = ops.mean(x * 0.5 + 1.0, axis=(1, 2))
    return keras.Model(inputs, layers.Dense(5)(x))


def normed():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, activation="gelu"),
            layers.LayerNormalization(epsilon=1e-5),
            layers.GroupNormalization(4, epsilon=1e-5),
            layers.GlobalMaxPooling2D(),
            layers.Dense(5),
        ]
    )


def excited():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    s = layers.GlobalAveragePooling2D(keepdims=True)(x)
    s = layers.Conv2D(4, 1, activation="relu")(s)
    s = layers.Conv2D(8, 1, activation="sigmoid")(s)
    x = layers.AveragePooling2D(4)(layers.Multiply()([x, s]))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))


def active():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, activation="hard_swish"),
            layers.Conv2D(8, 3, activation="leaky_relu"),
            layers.Conv2D(4, 1, activation="hard_sigmoid"),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Activation("mish"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )


def standardized():
    mean, variance = [0.4, 0.5, 0.6], [0.04, 0.05, 0.06]
    normalization = layers.Normalization(mean=mean, variance=variance)
    scaled = [keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), normalization]
    return keras.Sequential([*scaled, layers.Flatten(), layers.Dense(5)])


def flipped():
    return keras.Sequential([layers.RandomFlip("horizontal"), *computed_layers()])


def separable():
    parts = [layers.SeparableConv2D(8, 3, padding="same", activation="relu", depth_multiplier=2)]
    return keras.Sequential([keras.Input((8, 8, 3)), *parts, layers.Flatten(), layers.Dense(5)])


def computed_layers():
    return [layers.Conv2D(8, 3, activation="relu"), layers.Flatten(), layers.Dense(5)]


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
decayed = keras.optimizers.AdamW(1e-3, weight_decay=0.01, epsilon=1e-30)
decayed.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
accumulated = keras.optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2)
averaged = keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.9)
_schedules = keras.optimizers.schedules
warm = keras.optimizers.SGD(_schedules.CosineDecay(0.0, 90, warmup_target=0.1, warmup_steps=10))
