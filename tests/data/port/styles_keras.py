"""The same in the manners of Keras' users: classes of layers, functions, shared layers, ops."""

import keras
from keras import layers, ops


def _norm():
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def _conv(*given, **named):
    return layers.Conv2D(8, 3, *given, padding="same", **named)


def _mean():
    return [layers.GlobalAveragePooling2D(), layers.Dense(5)]


def _flat():
    return [layers.Flatten(), layers.Dense(5)]


def _seq(*parts):
    return keras.Sequential([keras.Input((8, 8, 3)), *parts])


def _model(made):
    """A model of a function of the inputs, up to one number a channel."""
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Dense(5)(made(inputs)))


def net():
    return _seq(_conv(), layers.ReLU(), *_mean())


def ordered():
    return _seq(_conv(), _norm(), layers.ReLU(), layers.MaxPool2D(), *_flat())


def loops():
    x = inputs = keras.Input((8, 8, 3))
    for filters in (6, 8, 8):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAvgPool2D()(x)))


def _bottleneck(x, width, filters, stride):
    y = layers.Conv2D(width, 1, strides=stride, use_bias=False)(x)
    y = layers.Activation("relu")(_norm()(y))
    y = layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
    y = layers.Activation("relu")(_norm()(y))
    y = _norm()(layers.Conv2D(filters, 1, use_bias=False)(y))
    x = _norm()(layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x))
    return layers.Activation("relu")(layers.add([x, y]))


def res():
    return _model(
        lambda x: layers.GlobalAveragePooling2D()(
            _bottleneck(_bottleneck(x, 4, 12, 2), 4, 12, 1),
        )
    )


class Block(layers.Layer):
    """A layer of its own, made of others with the same names in each."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(filters, 3, padding="same", use_bias=False, name="conv")
        self.norm = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="norm")

    def call(self, x, training=False):
        return ops.relu(self.norm(self.conv(x), training=training))


class Blocks(keras.Model):
    def __init__(self):
        super().__init__()
        self.features = keras.Sequential([Block(6), Block(8)])
        self.drop, self.out = layers.Dropout(0.2), layers.Dense(5)

    def call(self, x, training=False):
        x = ops.mean(self.features(x, training=training), axis=[1, 2])
        return self.out(self.drop(x, training=training))

    def train_step(self, data):
        return super().train_step(data)


def scaled():
    mean, deviation = ops.convert_to_tensor([0.485, 0.456, 0.406]), [0.229, 0.224, 0.225]
    inputs = keras.Input((8, 8, 3))
    x = (ops.cast(inputs, "float32") / 255.0 - mean) / ops.convert_to_tensor(deviation)
    x = layers.GlobalAveragePooling2D()(_conv(activation="relu")(x))
    return keras.Model(inputs, layers.Dense(5)(x))


def cast():
    head = [layers.GlobalAveragePooling2D(), layers.Dense(5, dtype="float32")]
    return _seq(_conv(activation="relu"), *head)


def activated():
    def mid(x):
        x = layers.Conv2D(8, 1)(keras.activations.gelu(_conv()(x), approximate=True))
        x = layers.Conv2D(8, 1, activation="celu")(layers.PReLU(shared_axes=[1, 2])(x))
        x = layers.Activation("hard_tanh")(keras.activations.soft_shrink(x, threshold=0.05))
        return layers.GlobalAveragePooling2D()(x)

    return _model(mid)


def swish():
    def mid(x):
        x = _conv()(x)
        y = layers.Activation("swish")(layers.Activation("hard_silu")(x))
        return layers.GlobalAveragePooling2D()(y - (1 - ops.sigmoid(x)))

    return _model(mid)


def pooled():
    wide = _conv(dilation_rate=2)
    pools = layers.MaxPooling2D(3, 2, padding="same"), layers.AveragePooling2D(3, 1, padding="same")
    return _seq(_conv(activation="relu"), pools[0], wide, pools[1], *_mean())


def ceiled():
    return _seq(_conv(activation="relu"), layers.AveragePooling2D(3, 3, padding="same"), *_flat())


def parted():
    return _seq(_conv(activation="relu"), layers.AdaptiveAveragePooling2D(3), *_flat())


def reflected():
    def mid(x):
        x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
        return layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(x))

    return _model(mid)


def whole():
    return _seq(_conv(), _norm(), layers.ReLU(), *_mean())


def grouped():
    return _seq(_conv(), layers.GroupNormalization(2, epsilon=1e-5), layers.ReLU(), *_mean())


def channels():
    drop = layers.Dropout(0.3, noise_shape=(None, 1, 1, 8))
    return _seq(_conv(activation="relu"), drop, *_mean())


def tied():
    shared = layers.Dense(8, activation="relu")
    return _model(
        lambda x: shared(shared(layers.GlobalAveragePooling2D()(_conv(activation="relu")(x))))
    )


def excited():
    def mid(x):
        x = _conv(activation="relu")(x)
        s = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
        s = layers.Dense(8, activation="sigmoid")(layers.Dense(2, activation="relu")(s))
        return layers.GlobalAveragePooling2D()(layers.multiply([x, s]))

    return _model(mid)


def summed():
    def mid(x):
        return layers.GlobalAveragePooling2D()(_conv(activation="relu")(x) + layers.Conv2D(8, 1)(x))

    return _model(mid)


def held():
    limit = keras.constraints.MaxNorm(3)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(5, kernel_constraint=limit)]
    return _seq(_conv(activation="relu"), *head)


def turned():
    return _seq(layers.RandomRotation(0.1), _conv(activation="relu"), *_mean())


def noised():
    return _seq(_conv(activation="relu"), layers.GaussianNoise(0.1), *_mean())


def binary():
    return _seq(_conv(activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(1))


def probable():
    head = [layers.GlobalAveragePooling2D(), layers.Dense(1, activation="sigmoid")]
    return _seq(_conv(activation="relu"), *head)


def compiled():
    made = net()
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def rows():
    return _seq(_conv(), layers.GroupNormalization(2, axis=1), *_mean())


def two_inputs():
    one, other = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    return keras.Model([one, other], layers.Dense(5)(layers.Flatten()(layers.add([one, other]))))


def turned_over():
    return _model(lambda x: layers.Flatten()(ops.transpose(x, (0, 3, 1, 2))))


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
of_classes = keras.losses.BinaryCrossentropy(from_logits=True)
of_probabilities = keras.losses.BinaryCrossentropy()
of_classes_smoothed = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
plain = keras.optimizers.SGD(0.1)
adam = keras.optimizers.Adam(1e-3, epsilon=1e-30)
_schedules = keras.optimizers.schedules
stepped = keras.optimizers.Adam(
    _schedules.ExponentialDecay(1e-3, 10, 0.5, staircase=True), epsilon=1e-30
)
restarts = keras.optimizers.SGD(_schedules.CosineDecayRestarts(0.1, 50, t_mul=1.0))
falling = keras.optimizers.SGD(_schedules.ExponentialDecay(0.1, 1, 0.97))
