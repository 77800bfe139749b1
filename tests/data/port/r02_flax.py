import jax
import optax
from flax import nnx


class Net(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        start = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        self.hidden = nnx.Linear(48, 8, kernel_init=start, rngs=rngs)
        self.out = nnx.Linear(8, 4, kernel_init=start, rngs=rngs)
        for layer, fan in ((self.hidden, 48), (self.out, 8)):
            key = rngs.params()
            layer.bias.value = (
                jax.random.uniform(key, layer.bias.value.shape, minval=-1) * fan**-0.5
            )

    def __call__(self, x):
        x = nnx.tanh(self.hidden(x.reshape(x.shape[0], -1)))
        return self.out(x)


loss = optax.softmax_cross_entropy_with_integer_labels
optimizer = optax.adamw(1e-3, weight_decay=0.01)
