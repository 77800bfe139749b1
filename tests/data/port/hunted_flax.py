"""Slices, limits, resizing and a loss of their own, as Flax's users write them."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.training.dynamic_scale import DynamicScale


class _Net(nnx.Module):
    inputs = 8

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(8, 8, (3, 3), rngs=rngs)
        self.out = nnx.Linear(self.inputs, 5, rngs=rngs)


class Plain(_Net):
    def __call__(self, x):
        return self.out(jnp.mean(jax.nn.relu(self.conv(x)), (1, 2)))


class Cropped(_Net):
    inputs = 288

    def __call__(self, x):
        x = jax.nn.relu(self.conv(x))[:, 1:-1, 1:-1]
        return self.out(x.reshape(x.shape[0], -1))


class Six(_Net):
    def __call__(self, x):
        x = jax.nn.relu6(self.conv2(jnp.clip(self.conv(x), 0, 6)))
        return self.out(jnp.mean(x, (1, 2)))


class Resized(_Net):
    inputs = 200

    def __call__(self, x):
        x = jax.nn.relu(self.conv(x))
        x = jax.image.resize(x, (x.shape[0], 16, 16, 8), "bilinear")
        return self.out(nnx.max_pool(x, (3, 3), (3, 3)).reshape(x.shape[0], -1))


class Branching(_Net):
    def __call__(self, x, train=False):
        x = self.conv(x)
        if train:
            x = jnp.tanh(x)
        return self.out(jnp.mean(x, (1, 2)))


def loss(out, labels):
    return optax.softmax_cross_entropy_with_integer_labels(out, labels).mean()


def smooth(out, labels):
    truth = optax.smooth_labels(jax.nn.one_hot(labels, out.shape[-1]), 0.1)
    return optax.softmax_cross_entropy(out, truth).mean()


def summed(out, labels):
    return loss(out, labels) * len(labels)


optimizer = optax.sgd(0.1, momentum=0.9)
lion = optax.MultiSteps(optax.lion(1e-3, weight_decay=0.01), 2).gradient_transformation()
averages = optax.ema(0.95)
biased = optax.ema(0.95, debias=False)
scaler = DynamicScale(scale=1024.0)
huge = DynamicScale(scale=2.0**127)
of_updates = optax.chain(optax.ema(0.9), optax.sgd(0.1))
