import keras
from keras import layers


def make():
    return keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(10)])


def scaled():
    rescaling = layers.Rescaling(1 / 255)
    return keras.Sequential([keras.Input((6, 6, 1)), rescaling, layers.Flatten(), layers.Dense(10)])


def decayed(steps):
    return keras.optimizers.schedules.ExponentialDecay(0.1, steps, 0.5, staircase=True)


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.1)
in_steps = keras.optimizers.SGD(decayed(10))
in_epochs = keras.optimizers.SGD(decayed(1))
