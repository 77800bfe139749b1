"""Masks drawn by PyTorch and JAX are NumPy's, bit for bit."""

import numpy as np
import pytest

from datasets.batches import MaskSpec

# odd sizes, one word, a rate whose threshold is above half of the range, one that drops nothing
SPEC = MaskSpec(
    {"a": (3, 5, 7), "b": (1,), "c": (11,), "d": (4,)},
    {"a": 0.25, "b": 0.5, "c": 0.875, "d": 0.0},
    seed=2**63 - 1,
)


def drawer(framework, spec):
    if framework == "torch":
        torch = pytest.importorskip("torch")
        from frameworks.torch.philox import MaskDrawer

        return MaskDrawer(spec, torch.device("cpu"))
    jax = pytest.importorskip("jax")
    from frameworks.jax.philox import MaskDrawer

    return MaskDrawer(spec, jax.devices("cpu")[0])


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("seed", [0, SPEC.seed])
def test_masks_of_a_device_are_numpys_bit_for_bit(framework, seed):
    spec = MaskSpec(SPEC.shapes, SPEC.rates, seed)
    one = drawer(framework, spec)
    for batch_size, epoch, first, places in ((5, 0, 0, 3), (5, 7, 2**20 + 1, 3), (1, 1, 6, 2)):
        found = one.draw(batch_size, epoch, first, places)
        assert list(found) == list(spec.shapes)
        for place in range(places):
            expected = spec.draw(batch_size, epoch, first + place)
            for name, mask in expected.items():
                mine = np.asarray(found[name][place])
                assert mine.dtype == np.uint8
                np.testing.assert_array_equal(mine, mask)
