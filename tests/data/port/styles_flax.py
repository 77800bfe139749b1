"""The same in the manners of Flax' users, NNX and linen, and chains of optax."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen, nnx


class Net(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(3, 8, kernel_size=(3, 3), padding="SAME", rngs=rngs)
        self.more(rngs)
        self.fc = nnx.Linear(8, 5, rngs=rngs)

    def more(self, rngs):
        pass

    def mid(self, x):
        return jnp.mean(nnx.relu(x), axis=(1, 2))

    def __call__(self, x):
        return self.fc(self.mid(self.conv(x)))


class Typed(Net):
    def more(self, rngs):
        given = {"dtype": jnp.bfloat16, "param_dtype": jnp.float32}
        self.conv = nnx.Conv(3, 8, (3, 3), **given, rngs=rngs)

    def __call__(self, x):
        return super().__call__(jnp.asarray(x, jnp.float32)).astype(jnp.float32)


class Jitted(Net):
    def mid(self, x):
        return jax.jit(lambda y: jnp.mean(nnx.relu(y), (1, 2)))(x)


class Chained(Net):
    rate = 0.3

    def more(self, rngs):
        norm = nnx.BatchNorm(8, momentum=0.9, epsilon=1e-5, rngs=rngs)
        self.block = nnx.Sequential(norm, nnx.relu, nnx.Dropout(self.rate, rngs=rngs))

    def mid(self, x):
        return self.block(x).mean((1, 2))


class ChainedHalf(Chained):
    rate = 0.5


class Excited(Net):
    gate = staticmethod(nnx.sigmoid)

    def more(self, rngs):
        self.down, self.up = nnx.Linear(8, 2, rngs=rngs), nnx.Linear(2, 8, rngs=rngs)

    def mid(self, x):
        x = nnx.relu(x)
        s = self.gate(self.up(nnx.relu(self.down(x.mean((1, 2))))))
        return (x * s[:, None, None, :]).mean((1, 2))


class ExcitedHard(Excited):
    gate = staticmethod(jax.nn.hard_sigmoid)


class Grouped(Net):
    def more(self, rngs):
        self.norm = nnx.GroupNorm(8, num_groups=2, epsilon=1e-5, rngs=rngs)

    def mid(self, x):
        return super().mid(self.norm(x))


class Tied(Net):
    def more(self, rngs):
        self.shared = nnx.Linear(8, 8, rngs=rngs)

    def mid(self, x):
        return nnx.relu(self.shared(nnx.relu(self.shared(super().mid(x)))))


class Block(linen.Module):
    """Block in the manner of Flax' ImageNet example: functions that make layers are handed over."""

    filters: int
    conv: Any
    norm: Any
    act: Callable
    strides: tuple[int, int] = (1, 1)

    @linen.compact
    def __call__(self, x):
        residual = x
        y = self.act(self.norm()(self.conv(self.filters, (3, 3), self.strides)(x)))
        y = self.norm(scale_init=linen.initializers.zeros_init())(
            self.conv(self.filters, (3, 3))(y)
        )
        if residual.shape != y.shape:
            projected = self.conv(self.filters, (1, 1), self.strides, name="conv_proj")(residual)
            residual = self.norm(name="norm_proj")(projected)
        return self.act(residual + y)


class ResNet(linen.Module):
    classes: int = 5
    filters: int = 6
    dtype: Any = jnp.float32
    momentum: float = 0.9

    @linen.compact
    def __call__(self, x, train: bool = True):
        conv = partial(linen.remat(linen.Conv), use_bias=False, dtype=self.dtype)
        norm = partial(
            linen.BatchNorm,
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=1e-5,
            dtype=self.dtype,
        )
        x = linen.relu(norm(name="bn_init")(conv(self.filters, (3, 3), name="conv_init")(x)))
        for place in range(2):
            strides = (2, 2) if place else (1, 1)
            block = Block(self.filters * 2**place, conv, norm, linen.relu, strides)
            x = block(x)
        x = linen.Dense(self.classes, dtype=self.dtype)(jnp.mean(x, axis=(1, 2)))
        return jnp.asarray(x, self.dtype)


def res_slower():
    return ResNet(momentum=0.99)


class Lenient(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.PReLU()(linen.Conv(8, (3, 3))(x))
        return linen.Dense(5)(x.mean((1, 2)))


def loss(out, labels):
    return jnp.mean(optax.softmax_cross_entropy(logits=out, labels=jax.nn.one_hot(labels, 5)))


def of_classes(out, truth):
    return optax.sigmoid_binary_cross_entropy(out, truth).mean()


def _of(path):
    return "head" if "fc" in str(path[0]) else "body"


def _labels(weights):
    return jax.tree_util.tree_map_with_path(lambda path, _: _of(path), weights)


optimizer = optax.sgd(0.1, momentum=0.9)
traced = optax.chain(optax.zero_nans(), optax.trace(decay=0.9), optax.scale(-0.1))
injected = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1, momentum=0.9)
injected_slow = optax.inject_hyperparams(optax.sgd)(learning_rate=0.01, momentum=0.9)
adam = optax.adam(1e-3, eps=1e-30)
chained = optax.chain(optax.scale_by_adam(eps=1e-30), optax.scale_by_learning_rate(1e-3))
chained_clipped = optax.chain(optax.clip_by_global_norm(1.0), chained)
chained_fast = optax.chain(optax.scale_by_adam(eps=1e-30), optax.scale(-2e-3))
chained_falling = optax.chain(
    optax.scale_by_adam(eps=1e-30), optax.scale_by_schedule(lambda n: 0.97**n), optax.scale(-1e-3)
)
two_rates = optax.multi_transform(
    {"head": optax.sgd(0.1, momentum=0.9), "body": optax.sgd(0.01, momentum=0.9)}, _labels
)
