"""The same as Keras' users write them."""

import keras
from keras import layers, ops

loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
mse = keras.losses.MeanSquaredError()
optimizer = keras.optimizers.SGD(0.1)


def autoencoder():
    i = keras.Input((8, 8, 3))
    x = layers.ZeroPadding2D(1)(i)
    x = layers.Flatten()(layers.Conv2D(4, 3, 2, activation="relu")(x))
    x = layers.Dense(6)(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Reshape((4, 4, 4))(x)
    return keras.Model(i, layers.Conv2DTranspose(3, 2, 2, activation="sigmoid")(x))


def siamese():
    i = keras.Input((8, 8, 6))
    branch = keras.Sequential(
        [layers.Conv2D(4, 3, activation="relu"), layers.GlobalMaxPool2D()], name="branch"
    )
    a, b = branch(i[..., :3]), branch(i[..., 3:])
    return keras.Model(i, layers.Dense(5)(ops.abs(layers.Subtract()([a, b]))))


def with_redshift():
    i, z = keras.Input((8, 8, 3)), keras.Input((1,))
    x = layers.GlobalMaxPool2D()(layers.Conv2D(4, 3, activation="relu")(i))
    return keras.Model([i, z], layers.Dense(5)(layers.Concatenate()([x, z])))


def for_images():
    i = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 4, 4)(i))
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = x + layers.Dense(8, activation=keras.activations.gelu)(x)
    return keras.Model(i, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))


def spectrum(shape=(64, 1), same=False):
    i = x = keras.Input(shape)
    if len(shape) == 1:
        x = layers.Reshape((64, 1))(x)
    x = x if same else layers.ZeroPadding1D(3)(x)
    x = layers.Conv1D(4, 7, strides=2, padding="same" if same else "valid", use_bias=False)(x)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x)
    x = layers.MaxPooling1D(2)(layers.ReLU()(x))
    x = layers.Conv1D(8, 5, padding="same", dilation_rate=2, activation="elu")(x)
    x = layers.SpatialDropout1D(0.2)(layers.AveragePooling1D(2)(x))
    x = layers.Dense(6, activation="relu")(layers.Flatten()(x))
    return keras.Model(i, layers.Dense(5)(x))


def spectrum_same():
    return spectrum(same=True)


def spectrum_flat():
    return spectrum((64,))


def tcn(padding="causal"):
    i = x = keras.Input((20, 2))
    for n, d in enumerate((1, 2, 4)):
        y = layers.Conv1D(4, 3, padding=padding, dilation_rate=d, activation="relu")(x)
        x = layers.add([y, x]) if n else y
    return keras.Model(i, layers.Dense(5)(x[:, -1, :]))


def tcn_same():
    return tcn("same")


def cube():
    i = keras.Input((6, 4, 4, 1))
    x = layers.Conv3D(4, 3, padding="same")(i)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x))
    x = layers.MaxPooling3D(2)(x)
    x = layers.Conv3D(4, (3, 1, 1), strides=(2, 1, 1))(x)
    return keras.Model(i, layers.Dense(5)(layers.GlobalAveragePooling3D()(x)))


def unet1d():
    i = keras.Input((16, 1))
    a = layers.Conv1D(4, 3, padding="same", activation="relu")(i)
    b = layers.Conv1D(8, 3, padding="same", activation="relu")(layers.MaxPool1D(2)(a))
    u = layers.Conv1DTranspose(8, 2, strides=2)(b)
    x = layers.Conv1D(4, 3, padding="same", activation="relu")(layers.Concatenate()([a, u]))
    return keras.Model(i, layers.Dense(5)(layers.GlobalMaxPooling1D()(layers.UpSampling1D(2)(x))))


def gru():
    i = keras.Input((10, 2))
    return keras.Model(i, layers.Dense(5)(layers.GRU(6)(i)))


def eca():
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation="relu")(i)
    y = layers.Reshape((8, 1))(layers.GlobalAveragePooling2D()(x))
    y = layers.Conv1D(1, 3, padding="same", use_bias=False, activation="sigmoid")(y)
    x = layers.Multiply()([x, layers.Reshape((1, 1, 8))(y)])
    return keras.Model(i, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


class Tokens(layers.Layer):
    def build(self, shape):
        self.cls = self.add_weight(shape=(1, 1, 12), initializer="random_normal", name="cls")
        self.pos = self.add_weight(shape=(1, 17, 12), initializer="random_normal", name="pos")

    def call(self, x):
        c = ops.broadcast_to(self.cls, (ops.shape(x)[0], 1, 12))
        return ops.concatenate([c, x], axis=1) + self.pos


def vit(heads=3):
    i = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 12))(layers.Conv2D(12, 4, 4)(i))
    x = Tokens()(x)
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = x + layers.MultiHeadAttention(heads, 12 // heads)(y, y)
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = x + layers.Dense(12)(layers.Dense(24, activation="gelu")(y))
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    return keras.Model(i, layers.Dense(5)(x[:, 0]))


def vit_two():
    return vit(2)


class GRN(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="zeros", name="gamma")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta")

    def call(self, x):
        g = ops.sqrt(ops.sum(ops.square(x), axis=(1, 2), keepdims=True))
        n = g / (ops.mean(g, axis=-1, keepdims=True) + 1e-6)
        return self.gamma * (x * n) + self.beta + x


def convnext2():
    i = keras.Input((8, 8, 3))
    x = GRN()(layers.Conv2D(8, 3, activation="gelu")(i))
    return keras.Model(i, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


class Turn(layers.Layer):
    def __init__(self, k, **kw):
        super().__init__(**kw)
        self.k = k

    def call(self, x):
        return ops.rot90(x, k=self.k, axes=(1, 2))


def maxout():
    i = keras.Input((8, 8, 3))
    conv = layers.Conv2D(4, 3, activation="relu")
    parts = [layers.Flatten()(layers.MaxPool2D()(conv(Turn(k)(i)))) for k in range(4)]
    x = layers.Dense(12)(layers.concatenate(parts))
    x = ops.max(layers.Reshape((6, 2))(x), axis=-1)
    return keras.Model(i, layers.Dense(5)(x))


def lazy():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


def stretched():
    i = keras.Input((8, 8, 3))
    x = ops.arcsinh(i * 10.0) / 3.0
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.25, 0.36, 0.49])(x)
    return keras.Model(
        i, layers.Dense(5)(layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(x)))
    )


def down():
    i = keras.Input((8, 8, 3))
    x = layers.Resizing(4, 4, antialias=True)(i)
    return keras.Model(
        i,
        layers.Dense(5)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(x))),
    )


class Own(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 / (1 + 0.01 * ops.cast(step, "float64"))


own = keras.optimizers.SGD(Own())
focal = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True)


def standardized():
    inputs = keras.Input((8, 8, 3))
    mean = ops.mean(inputs, axis=(1, 2, 3), keepdims=True)
    x = (inputs - mean) / (ops.std(inputs, axis=(1, 2, 3), keepdims=True) + 1e-6)
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(5)(x))
