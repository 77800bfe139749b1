import optax
from flax import nnx


class Net(nnx.Module):
    def __init__(self):
        rngs, start = nnx.Rngs(0), nnx.initializers.glorot_uniform()
        self.conv = nnx.Conv(3, 4, (4, 4), strides=2, padding="VALID", kernel_init=start, rngs=rngs)
        self.out = nnx.Linear(64, 5, kernel_init=start, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.conv(x))
        return self.out(x.reshape(x.shape[0], -1))


loss = optax.softmax_cross_entropy_with_integer_labels
optimizer = optax.rmsprop(2.5e-4, decay=0.95, eps=0.01)
aligned = optax.rmsprop(2.5e-4, decay=0.95, eps=0.01, eps_in_sqrt=False)
