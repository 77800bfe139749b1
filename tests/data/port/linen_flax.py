"""A module of flax.linen, and the same in NNX's bridge."""

import jax.numpy as jnp
from flax import linen, nnx


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), padding="VALID")(x)).max((1, 2))
        return linen.Dense(5)(x)


def wrapped():
    return nnx.bridge.ToNNX(Net(), rngs=nnx.Rngs(0)).lazy_init(jnp.zeros((1, 8, 8, 3)))
