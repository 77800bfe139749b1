"""UNAM's network, and PHYS449's C1 and C2, as their authors' notebooks have them in Keras."""

import keras
from keras import layers
from keras.regularizers import l2


def unam():
    model = keras.Sequential([keras.Input((69, 69, 3))])
    model.add(layers.Conv2D(64, (3, 3), activation="relu", kernel_regularizer=l2(0.001)))
    model.add(layers.Conv2D(64, (3, 3), activation="relu", kernel_regularizer=l2(0.001)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(128, (3, 3), activation="relu", kernel_regularizer=l2(0.001)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(256, (3, 3), activation="relu", kernel_regularizer=l2(0.001)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Dropout(0.5))
    model.add(layers.Flatten())
    model.add(layers.Dense(150, activation="tanh", kernel_regularizer=l2(0.001)))
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(60, activation="tanh", kernel_regularizer=l2(0.001)))
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def c2():
    """On Galaxy10: one channel, four classes."""
    model = keras.Sequential([keras.Input((69, 69, 1))])
    model.add(layers.Conv2D(32, kernel_size=(7, 7), activation="relu"))
    model.add(layers.BatchNormalization())
    model.add(layers.MaxPooling2D(pool_size=(2, 2)))
    model.add(layers.Conv2D(64, kernel_size=(5, 5), activation="relu"))
    model.add(layers.Conv2D(64, kernel_size=(5, 5), activation="relu"))
    model.add(layers.BatchNormalization())
    model.add(layers.MaxPooling2D(pool_size=(2, 2)))
    model.add(layers.Conv2D(128, kernel_size=(3, 3), activation="relu"))
    model.add(layers.BatchNormalization())
    model.add(layers.MaxPooling2D(pool_size=(2, 2)))
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(256, activation="relu"))
    model.add(layers.Dense(256, activation="relu"))
    model.add(layers.Dense(4, activation="softmax"))
    optimizer = keras.optimizers.Adam(learning_rate=2e-4)
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model


def c1():
    """With one batch norm, on pictures of 33 pixels to keep the dense layer small."""
    model = keras.Sequential([keras.Input((33, 33, 1))])
    model.add(layers.Conv2D(32, kernel_size=(5, 5), activation="relu"))
    model.add(layers.Conv2D(64, kernel_size=(5, 5), activation="relu"))
    model.add(layers.BatchNormalization())
    model.add(layers.MaxPooling2D(pool_size=(2, 2)))
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(256, activation="relu"))
    model.add(layers.Dense(4, activation="softmax"))
    optimizer = keras.optimizers.Adadelta(learning_rate=1e-4)
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model
