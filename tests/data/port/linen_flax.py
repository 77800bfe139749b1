"""Modules of flax.linen, and one in NNX's bridge."""

import jax.numpy as jnp
from flax import linen, nnx


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), padding="VALID")(x)).max((1, 2))
        return linen.Dense(5)(x)


def wrapped():
    return nnx.bridge.ToNNX(Net(), rngs=nnx.Rngs(0)).lazy_init(jnp.zeros((1, 8, 8, 3)))


class Counted(linen.Module):
    @linen.compact
    def __call__(self, x):
        self.variable("calls", "count", lambda: jnp.zeros(()))
        return linen.Dense(5)(x.mean((1, 2)))


class Dropped(linen.Module):
    @linen.compact
    def __call__(self, x, deterministic):
        x = linen.relu(linen.Conv(6, (3, 3))(x))
        x = linen.BatchNorm(use_running_average=deterministic, momentum=0.9)(x)
        x = linen.max_pool(x, (2, 2), (2, 2)).reshape((x.shape[0], -1))
        x = linen.Dropout(0.25, deterministic=deterministic)(x)
        return linen.Dense(10)(x)


class Block(linen.Module):
    filters: int
    stride: int = 1

    @linen.compact
    def __call__(self, x, train):
        around = ((1, 1), (1, 1))
        norm = {"use_running_average": not train, "momentum": 0.9}
        y = linen.Conv(self.filters, (3, 3), self.stride, padding=around, use_bias=False)(x)
        y = linen.relu(linen.BatchNorm(**norm)(y))
        y = linen.Conv(self.filters, (3, 3), padding=around, use_bias=False)(y)
        y = linen.BatchNorm(**norm)(y)
        if self.stride != 1:
            x = linen.Conv(self.filters, (1, 1), self.stride, padding="VALID", use_bias=False)(x)
            x = linen.BatchNorm(**norm)(x)
        return linen.relu(x + y)


class Residual(linen.Module):
    def setup(self):
        self.stem = linen.Conv(6, (3, 3))
        self.blocks = [Block(6), Block(8, 2), Block(8)]
        self.head = linen.Dense(5)

    def __call__(self, x, train=False):
        x = linen.relu(self.stem(x))
        for block in self.blocks:
            x = block(x, train)
        return self.head(x.mean((1, 2)))
