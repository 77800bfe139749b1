import optax
from flax import nnx


class Net(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        start = {"kernel_init": nnx.initializers.xavier_uniform(), "rngs": rngs}
        self.conv = nnx.Conv(3, 6, (3, 3), **start)
        self.norm = nnx.BatchNorm(6, momentum=0.9, rngs=rngs)
        self.drop = nnx.Dropout(0.25, rngs=rngs)
        self.out = nnx.Linear(216, 10, **start)

    def __call__(self, x):
        x = nnx.max_pool(self.norm(nnx.relu(self.conv(x))), (2, 2), (2, 2))
        return self.out(self.drop(x.reshape(x.shape[0], -1)))


loss = optax.softmax_cross_entropy_with_integer_labels
optimizer = optax.sgd(optax.exponential_decay(0.05, 10, 0.8), momentum=0.9)
