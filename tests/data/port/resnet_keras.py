"""ResNet-18 as a functional Keras model, with the padding and the batch norms of PyTorch's."""

import keras
from keras import layers


def _norm(x):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _conv(x, filters, kernel, stride=1):
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2)(x)
    return layers.Conv2D(filters, kernel, stride, use_bias=False, kernel_initializer=_HE)(x)


_HE = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def _block(x, filters, stride):
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = _norm(_conv(x, filters, 1, stride))
    x = layers.ReLU()(_norm(_conv(x, filters, 3, stride)))
    x = _norm(_conv(x, filters, 3))
    return layers.ReLU()(layers.add([x, shortcut]))


def resnet18(classes=10, width=64, size=64):
    x = inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(_norm(_conv(x, width, 7, 2)))
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, 2)(x)
    for number, filters in enumerate((width, 2 * width, 4 * width, 8 * width)):
        x = _block(x, filters, 2 if number else 1)
        x = _block(x, filters, 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def narrow():
    return resnet18(width=8)


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
