import keras
from keras import layers


def make():
    return keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(10)])


class AdamW(keras.optimizers.AdamW):
    """What Keras 3.0.2 did: the decay joins the gradient."""

    def _apply_weight_decay(self, variables):
        pass

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient + self.weight_decay * variable, variable, learning_rate)


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = AdamW(1e-3, weight_decay=0.004, epsilon=1e-16)
aligned = keras.optimizers.AdamW(1e-3, weight_decay=0.004, epsilon=1e-16)
