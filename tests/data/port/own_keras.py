import keras
from keras import layers


def make():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ]
    )


loss = "sparse_categorical_crossentropy"
decayed = keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.8)
optimizer = keras.optimizers.SGD(decayed, momentum=0.9)
