import keras
from keras import layers


def make():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(6, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )


def regularized():
    """The decay of all weights in the loss: 5e-4 / 2 * sum(w^2)."""
    half = keras.regularizers.L2(2.5e-4)
    norm = {"momentum": 0.9, "epsilon": 1e-5, "gamma_regularizer": half, "beta_regularizer": half}
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(6, 3, padding="same", use_bias=False, kernel_regularizer=half),
            layers.BatchNormalization(**norm),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, kernel_regularizer=half, bias_regularizer=half),
        ]
    )


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
