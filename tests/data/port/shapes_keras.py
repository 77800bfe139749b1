"""Shapes of real code: residual blocks, concatenation, a layer used twice, LeNet."""

import keras
from keras import layers


def _block(x, filters, stride):
    y = layers.Conv2D(filters, 3, stride, padding="valid", use_bias=False)(
        layers.ZeroPadding2D(1)(x)
    )
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(y)
    if stride != 1:
        x = layers.Conv2D(filters, 1, stride, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.ReLU()(layers.Add()([y, x]))


def residual():
    x = inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    for filters, stride in ((6, 1), (8, 2), (8, 1)):
        x = _block(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5)(x))


def excited():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(8, 3, padding="same")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(2, 1, activation="silu")(gate)
    gate = layers.Conv2D(8, 1, activation="sigmoid")(gate)
    y = layers.Dropout(0.25, noise_shape=(None, 1, 1, 1))(layers.Multiply()([y, gate]))
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(5)(x))


def unet():
    inputs = keras.Input((8, 8, 3))
    wide = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    deep = layers.MaxPooling2D(2)(wide)
    deep = layers.Conv2D(6, 3, padding="same", activation="relu")(deep)
    up = layers.Conv2DTranspose(4, 2, strides=2)(deep)
    x = layers.Concatenate()([wide, up])
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.UpSampling2D(2)(layers.AveragePooling2D(2)(x))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))


def reused():
    shared = layers.Conv2D(4, 3, padding="same", activation="relu")
    inputs = keras.Input((8, 8, 4))
    x = shared(shared(inputs))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))


def lenet():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="tanh"),
            layers.Dense(84, activation="tanh"),
            layers.Dense(10),
        ]
    )


class _Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, activation="relu")
        self.pool = layers.GlobalMaxPooling2D()
        self.out = layers.Dense(5)

    def call(self, x):
        return self.out(self.pool(self.conv(x)))


def subclassed():
    return _Subclassed()


def with_lambda():
    x = inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Lambda(lambda t: t * 2)(x))


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.1)
