import keras
from keras import layers


def _made(activation):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation=activation),
        ]
    )


def make():
    return _made("softmax")


def aligned():
    return _made(None)


loss = keras.losses.CategoricalCrossentropy()
of_logits = keras.losses.CategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.1)
