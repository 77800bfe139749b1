from flax import nnx


class Net(nnx.Module):
    def __init__(self, precision=None):
        rngs, start = nnx.Rngs(0), nnx.initializers.glorot_uniform()
        same = {"kernel_init": start, "precision": precision, "rngs": rngs}
        self.conv = nnx.Conv(3, 4, (3, 3), padding="VALID", **same)
        self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.out = nnx.Linear(144, 5, **same)

    def __call__(self, x):
        x = self.norm(self.conv(x)).transpose(0, 3, 1, 2)
        return self.out(x.reshape(x.shape[0], -1))


def aligned():
    return Net("highest")
