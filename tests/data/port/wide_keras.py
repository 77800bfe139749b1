"""Networks of today as Keras' users write them: scales, attention, patches, channels first."""

import keras
from keras import layers, ops


class LayerScale(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(
            shape=(shape[-1],), initializer=keras.initializers.Constant(0.1)
        )

    def call(self, x):
        return x * self.gamma


def _classified(inputs, x):
    return keras.Model(inputs, layers.Dense(5)(x))


def convnext():
    inputs = keras.Input((16, 16, 3))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(8, 4, strides=4)(inputs))
    skip = x
    x = layers.DepthwiseConv2D(7, padding="same")(x)
    x = layers.Dense(16, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
    x = layers.Add()([skip, LayerScale()(layers.Dense(8)(x))])
    x = layers.RMSNormalization(epsilon=1e-6)(layers.GlobalAveragePooling2D()(x))
    return _classified(inputs, x)


class Attend(layers.Layer):
    """Where to look: CBAM's spatial attention."""

    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(1, 7, padding="same", activation="sigmoid", use_bias=False)

    def call(self, x):
        mean, largest = (f(x, axis=-1, keepdims=True) for f in (ops.mean, ops.max))
        return x * self.conv(ops.concatenate([mean, largest], axis=-1))


def cbam():
    inputs = keras.Input((16, 16, 3))
    x = Attend()(layers.Conv2D(8, 3, padding="same", activation="relu")(inputs))
    return _classified(inputs, layers.GlobalAveragePooling2D()(x))


class Positions(layers.Layer):
    def build(self, shape):
        self.places = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal")

    def call(self, x):
        return x + self.places


def vit():
    inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 12))(layers.Conv2D(12, 4, strides=4)(inputs))
    x = Positions()(x)
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 6)(y, y)])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.Dense(12)(layers.Dense(24, activation="gelu")(y))])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return _classified(inputs, x)


def patches():
    inputs = keras.Input((16, 16, 3))
    x = ops.transpose(ops.reshape(inputs, (-1, 4, 4, 4, 4, 3)), (0, 1, 3, 2, 4, 5))
    x = layers.Dense(6, activation="gelu")(ops.reshape(x, (-1, 16, 48)))
    return _classified(inputs, layers.Flatten()(x))


def shuffled():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 1)(inputs)
    x = ops.transpose(ops.reshape(x, (-1, 16, 16, 2, 4)), (0, 1, 2, 4, 3))
    x = layers.Conv2D(8, 3, groups=2, activation="relu")(ops.reshape(x, (-1, 16, 16, 8)))
    return _classified(inputs, layers.GlobalMaxPooling2D()(x))


def first():
    named = {"data_format": "channels_first"}
    inputs = keras.Input((3, 16, 16))
    x = layers.Conv2D(6, 3, strides=2, padding="same", **named)(inputs)
    x = layers.BatchNormalization(axis=1, epsilon=1e-5, momentum=0.9)(x)
    x = layers.SpatialDropout2D(0.2, **named)(layers.ReLU()(x))
    x = layers.UpSampling2D(2, **named)(x)
    x = layers.Conv2DTranspose(4, 2, strides=2, **named)(layers.ZeroPadding2D(1, **named)(x))
    x = layers.AveragePooling2D(4, **named)(layers.Concatenate(axis=1)([x, x]))
    return _classified(inputs, layers.Flatten()(x))


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.1)
