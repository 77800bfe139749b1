"""Transposed convolutions, attention and weights of their own, in NNX and in linen."""

import flax.linen as nn
import jax
import optax
from flax import nnx


class Grown(nnx.Module):
    def __init__(self, turned=False):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(3, 8, (3, 3), strides=2, padding=1, rngs=rngs)
        self.norm = nnx.InstanceNorm(8, rngs=rngs)
        words = {"strides": (2, 2), "transpose_kernel": turned, "rngs": rngs}
        self.two = nnx.ConvTranspose(8, 6, (4, 4), **words)
        self.one = nnx.ConvTranspose(6, 4, (2, 2), padding="VALID", **words)
        self.head = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.gelu(self.norm(self.conv(x)))
        return self.head(self.one(nnx.silu(self.two(x))).mean((1, 2)))


def turned():
    return Grown(turned=True)


class GrownLinen(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.gelu(nn.InstanceNorm()(nn.Conv(8, (3, 3), strides=2, padding=1)(x)))
        x = nn.silu(nn.ConvTranspose(6, (4, 4), strides=(2, 2))(x))
        x = nn.ConvTranspose(4, (2, 2), strides=(2, 2), padding="VALID")(x)
        return nn.Dense(5)(x.mean((1, 2)))


class Vit(nnx.Module):
    def __init__(self, rngs=None):
        rngs = rngs or nnx.Rngs(0)
        self.stem = nnx.Conv(3, 12, (4, 4), strides=(4, 4), padding="VALID", rngs=rngs)
        self.places = nnx.Param(jax.random.normal(rngs.params(), (1, 16, 12)))
        self.norms = nnx.List([nnx.LayerNorm(12, rngs=rngs) for _ in range(3)])
        self.attention = nnx.MultiHeadAttention(2, 12, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(12, 24, rngs=rngs), nnx.Linear(24, 12, rngs=rngs)
        self.head = nnx.Linear(12, 5, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x)
        x = x.reshape(x.shape[0], 16, 12) + self.places
        x = x + self.attention(self.norms[0](x))
        y = nnx.gelu(self.up(self.norms[1](x)), approximate=False)
        return self.head(self.norms[2](x + self.down(y)).mean(axis=1))


class VitLinen(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Conv(12, (4, 4), strides=(4, 4), padding="VALID")(x)
        x = x.reshape((x.shape[0], -1, 12))
        x = x + self.param("places", nn.initializers.normal(0.02), (1, 16, 12))
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=2)(y, y)
        y = nn.gelu(nn.Dense(24)(nn.LayerNorm()(x)), approximate=False)
        return nn.Dense(5)(nn.LayerNorm()(x + nn.Dense(12)(y)).mean(1))


def loss(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def _labels(weights):
    return jax.tree.map(lambda x: "kernel" if x.ndim > 1 else "other", weights)


optimizer = optax.sgd(0.1)
_decayed = optax.adamw(1e-3, weight_decay=0.05, eps=1e-30)
grouped = optax.multi_transform({"kernel": _decayed, "other": optax.adam(1e-3, eps=1e-30)}, _labels)
