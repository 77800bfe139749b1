"""The same as Flax' users write them."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import nnx


def loss(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


optimizer = optax.sgd(0.1)


class Spectrum(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Conv(4, (7,), strides=(2,), padding=((3, 3),), use_bias=False)(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = nn.max_pool(nn.relu(x), (2,), strides=(2,))
        x = nn.elu(nn.Conv(8, (5,), kernel_dilation=2)(x))
        x = nn.avg_pool(x, (2,), (2,))
        x = nn.Dropout(0.2, broadcast_dims=(1,), deterministic=not train)(x)
        x = x.reshape((x.shape[0], -1))
        return nn.Dense(5)(nn.relu(nn.Dense(6)(x)))


class Tcn(nnx.Module):
    def __init__(self, rngs=None):
        rngs = rngs or nnx.Rngs(0)
        self.convs = nnx.List(
            [
                nnx.Conv(
                    2 if d == 1 else 4, 4, (3,), kernel_dilation=(d,), padding="CAUSAL", rngs=rngs
                )
                for d in (1, 2, 4)
            ]
        )
        self.fc = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, x):
        for i, conv in enumerate(self.convs):
            y = nnx.relu(conv(x))
            x = y + x if i else y
        return self.fc(x[:, -1])


class Attention(nn.Module):
    @nn.compact
    def __call__(self, x):
        b, n, c = x.shape
        q, k, v = jnp.split(nn.Dense(3 * c)(x), 3, axis=-1)
        q, k, v = (t.reshape(b, n, 3, c // 3).transpose(0, 2, 1, 3) for t in (q, k, v))
        a = nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", q, k) / jnp.sqrt(c // 3), axis=-1)
        return nn.Dense(c)(
            jnp.einsum("bhqk,bhkd->bhqd", a, v).transpose(0, 2, 1, 3).reshape(b, n, c)
        )


class Vit(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(12, (4, 4), (4, 4), padding="VALID")(x)
        x = x.reshape(x.shape[0], -1, 12)
        cls = self.param("cls", nn.initializers.normal(), (1, 1, 12))
        x = jnp.concatenate([jnp.tile(cls, (x.shape[0], 1, 1)), x], axis=1)
        x = x + self.param("pos", nn.initializers.normal(), (1, 17, 12))
        x = x + Attention()(nn.LayerNorm()(x))
        y = nn.LayerNorm()(x)
        x = x + nn.Dense(12)(nn.gelu(nn.Dense(24)(y), approximate=False))
        return nn.Dense(5)(nn.LayerNorm()(x)[:, 0])


class Lazy(nnx.Module):
    def __init__(self, rngs=None):
        rngs = rngs or nnx.Rngs(0)
        self.net = nnx.Sequential(
            nnx.Conv(3, 4, (3, 3), padding="VALID", rngs=rngs),
            nnx.BatchNorm(4, momentum=0.9, rngs=rngs),
            nnx.relu,
            lambda x: x.reshape(x.shape[0], -1),
            nnx.Linear(144, 5, rngs=rngs),
        )

    def __call__(self, x):
        return self.net(x)


class Down(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = jax.image.resize(x, (x.shape[0], 4, 4, x.shape[3]), "bilinear")
        x = nn.relu(nn.Conv(4, (3, 3), padding="VALID")(x))
        return nn.Dense(5)(x.mean((1, 2)))


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return x + nn.relu(nn.Conv(4, (3, 3))(x)), None


class Scanned(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3))(x)
        x, _ = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=2)()(
            x, None
        )
        return nn.Dense(5)(x.mean((1, 2)))


masked = optax.chain(
    optax.scale_by_adam(),
    optax.masked(optax.add_decayed_weights(0.05), lambda p: jax.tree.map(lambda x: x.ndim > 1, p)),
    optax.scale(-1e-3),
)
