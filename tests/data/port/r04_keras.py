import keras
import numpy as np
from keras import layers


def make():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(10, name="dense"),
        ]
    )
    draw = np.random.default_rng(5)
    model.set_weights([draw.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model
