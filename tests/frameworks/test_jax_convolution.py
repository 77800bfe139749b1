"""Our convolution and max-pool for JAX against XLA's own, value and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from frameworks.jax import convolution as jax_convolution
from frameworks.spec.shapes import same_padding

LAYOUT = jax_convolution.LAYOUT
MOST = 20  # pictures
# (height, width, in), kernel, filters, padding
SHAPES = [
    ((7, 9, 2), (3, 3), 4, "valid"),
    ((8, 6, 3), (4, 2), 5, "same"),
    ((5, 5, 1), (5, 5), 2, "valid"),
    ((6, 7, 9), (1, 1), 3, "same"),
    ((9, 8, 3), (7, 5), 4, "same"),
    ((11, 10, 3), (6, 6), 2, "valid"),
    ((40, 41, 20), (5, 3), 6, "same"),
    ((31, 26, 3), (11, 11), 4, "same"),
    ((2, 2, 5), (3, 3), 4, "same"),
]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def zeros_of(shape, kernel, padding):
    if padding == "valid":
        return "VALID"
    return tuple(same_padding(size, width, 1) for size, width in zip(shape, kernel, strict=False))


def assert_same(ours, theirs, images, weights, generator):
    """The two functions have the same outputs and gradients."""
    found, found_slopes = jax.vjp(ours, images, weights)
    expected, expected_slopes = jax.vjp(theirs, images, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    slope = jnp.asarray(generator.standard_normal(expected.shape))
    for one, other in zip(found_slopes(slope), expected_slopes(slope), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("kernel", "steps", "zeros"),
    [
        ((3, 3), (1, 1), ((1, 1), (1, 1))),
        ((3, 2), (2, 3), ((0, 1), (2, 0))),
        ((5, 5), (2, 2), "VALID"),
    ],
)
def test_a_depthwise_convolution_is_xlas(kernel, steps, zeros):
    generator = np.random.default_rng(0)
    images = jnp.asarray(generator.standard_normal((3, 11, 10, 6)))
    weights = jnp.asarray(generator.standard_normal((*kernel, 1, 6)))
    options = {"dimension_numbers": LAYOUT, "feature_group_count": 6}

    def ours(images, weights):
        return jax_convolution.convolve(images, weights, steps, zeros, **options)

    def theirs(images, weights):
        return lax.conv_general_dilated(images, weights, steps, zeros, **options)

    assert "conv_general_dilated" not in str(jax.make_jaxpr(ours)(images, weights))
    assert_same(ours, theirs, images, weights, generator)


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize(("shape", "kernel", "filters", "padding"), SHAPES)
def test_convolution_is_xlas(shape, kernel, filters, padding, cpus, monkeypatch):
    monkeypatch.setattr(jax_convolution, "_cpus", lambda: cpus)
    generator = np.random.default_rng(0)
    images = jnp.asarray(generator.standard_normal((3, *shape)))
    weights = jnp.asarray(generator.standard_normal((*kernel, shape[2], filters)))
    zeros = zeros_of(shape, kernel, padding)

    def ours(images, weights):
        return jax_convolution.convolve(images, weights, (1, 1), zeros, dimension_numbers=LAYOUT)

    def theirs(images, weights):
        return lax.conv_general_dilated(images, weights, (1, 1), zeros, dimension_numbers=LAYOUT)

    assert_same(ours, theirs, images, weights, generator)


@pytest.mark.parametrize("count", [1, 8, 11, MOST])
@pytest.mark.parametrize(("shape", "kernel", "filters", "padding"), SHAPES)
def test_float32_gradients_are_the_float64_ones_to_rounding(shape, kernel, filters, padding, count):
    """In a program compiled as trainings are; batches that make whole groups of pictures or not.

    The exact ones are those of MOST pictures, for all counts: pictures left out have no slope."""
    generator = np.random.default_rng(3)
    images = generator.standard_normal((MOST, *shape))
    weights = generator.standard_normal((*kernel, shape[2], filters))
    zeros = zeros_of(shape, kernel, padding)
    exact, pull = jax.vjp(
        lambda x, w: lax.conv_general_dilated(x, w, (1, 1), zeros, dimension_numbers=LAYOUT),
        images,
        weights,
    )
    slope = generator.standard_normal(exact.shape)
    slope[count:] = 0
    of_images, of_weights = pull(slope)

    def ours(images, weights, slope):
        found, pull = jax.vjp(
            lambda x, w: jax_convolution.convolve(x, w, (1, 1), zeros), images, weights
        )
        return found, *pull(slope)

    compiled = jax.jit(ours, compiler_options=jax_convolution.compiler_options())
    given = (images[:count], weights, slope[:count])
    made = compiled(*(jnp.asarray(array, jnp.float32) for array in given))
    for found, expected in zip(made, (exact[:count], of_images[:count], of_weights), strict=True):
        assert found.dtype == jnp.float32
        error = np.linalg.norm(np.asarray(found, np.float64) - expected)
        assert error < 1e-6 * np.linalg.norm(expected)


def test_options_that_xla_does_not_know_are_left_out(monkeypatch):
    assert jax_convolution.compiler_options()
    monkeypatch.setattr(jax_convolution, "_OPTIONS", {"xla_cpu_no_such_option": "true"})
    assert jax_convolution.compiler_options.__wrapped__() == {}


@pytest.mark.parametrize(("padding", "rows"), [("VALID", 3), (((1, 1), (1, 1)), 1)])
def test_without_gradients_the_output_has_more_rows_than_the_input_and_is_cut(
    padding, rows, monkeypatch
):
    """Or XLA, compiling as it does by itself, leaves it to one thread."""
    monkeypatch.setattr(jax_convolution, "_cpus", lambda: 2)
    images, weights = jnp.ones((1, 8, 8, 9)), jnp.ones((3, 3, 9, 4))

    def ours(images, weights):
        return jax_convolution.convolve(images, weights, (1, 1), padding, dimension_numbers=LAYOUT)

    traced = jax.make_jaxpr(ours)(images, weights).jaxpr.eqns[0]
    (made,) = [
        equation.outvars[0].aval.shape
        for equation in traced.params["call_jaxpr"].eqns
        if equation.primitive.name == "conv_general_dilated"
    ]
    assert made[1] == 9
    assert ours(images, weights).shape[1] == 9 - rows


@pytest.mark.parametrize(
    ("size", "kernel", "steps", "zeros", "ours_is"),
    [
        ((12, 11), (3, 3), (2, 2), ((1, 1), (1, 1)), False),
        ((3, 4), (3, 3), (2, 2), ((1, 1), (1, 1)), True),
        ((12, 11), (7, 7), (2, 2), ((3, 3), (3, 3)), True),
        ((12, 11), (1, 1), (2, 2), "VALID", False),
        ((12, 11), (8, 2), (4, 1), ((0, 2), (1, 0)), True),
        ((12, 11), (2, 2), (2, 2), "SAME", True),
    ],
)
def test_a_strided_convolution_is_xlas(size, kernel, steps, zeros, ours_is):
    """By steps of one where that is faster (docs/evidence/speed.md)."""
    generator = np.random.default_rng(0)
    images = jnp.asarray(generator.standard_normal((3, *size, 4)))
    weights = jnp.asarray(generator.standard_normal((*kernel, 4, 6)))

    def ours(images, weights):
        return jax_convolution.convolve(images, weights, steps, zeros, dimension_numbers=LAYOUT)

    def theirs(images, weights):
        return lax.conv_general_dilated(images, weights, steps, zeros, dimension_numbers=LAYOUT)

    assert ("window_strides=(1, 1)" in str(jax.make_jaxpr(ours)(images, weights))) == ours_is
    assert_same(ours, theirs, images, weights, generator)


def test_xla_does_not_take_a_picture_below_its_kernel_for_a_kernel():
    """It computes such a one value by value: 700 ms for 64 pictures of 2x2 and 512 channels."""

    def loss(images, weights):
        return (jax_convolution.convolve(images, weights, (1, 1), ((1, 1), (1, 1))) ** 2).sum()

    shapes = [jax.ShapeDtypeStruct(one, np.float32) for one in ((8, 2, 2, 16), (3, 3, 16, 16))]
    options = jax_convolution.compiler_options()
    made = jax.jit(jax.grad(loss, (0, 1)), compiler_options=options).lower(*shapes).compile()
    lines = [line for line in made.as_text().splitlines() if " convolution(" in line]
    assert len(lines) == 3
    assert not any("pad=" in line or "dim_labels=b01f_01io->b01f" not in line for line in lines)


@pytest.mark.parametrize(("size", "shape"), [(2, (6, 8)), (2, (7, 5)), (3, (10, 9)), (1, (3, 3))])
def test_max_pool_is_xlas_at_ties_too(size, shape):
    generator = np.random.default_rng(1)
    images = jnp.asarray(generator.integers(0, 3, (2, *shape, 3)).astype(float))  # ties abound

    def theirs(images):
        window = (1, size, size, 1)
        return lax.reduce_window(images, -jnp.inf, lax.max, window, window, "VALID")

    found, found_slope = jax.vjp(lambda x: jax_convolution.max_pool(x, size), images)
    expected, expected_slope = jax.vjp(theirs, images)
    np.testing.assert_array_equal(found, expected)
    slope = jnp.asarray(generator.standard_normal(expected.shape))
    np.testing.assert_array_equal(found_slope(slope)[0], expected_slope(slope)[0])


def test_no_gradient_is_lost_when_xla_computes_the_pictures_twice():
    generator = np.random.default_rng(2)
    images = jnp.asarray(generator.standard_normal((4, 54, 54, 96)), jnp.float32)

    @jax.jit
    def gradient(images, scale):
        def total(images):  # the elementwise work ahead of the pool is fused into it, as often
            pooled = jax_convolution.max_pool(jnp.tanh(images * scale) * 1.7 + 0.3, 3)
            return pooled.sum()

        return jax.grad(total)(images)

    scale = jnp.asarray(generator.uniform(0.5, 1.5, 96), jnp.float32)
    found = np.asarray(gradient(images, scale)).reshape(4, 18, 3, 18, 3, 96)
    assert ((found != 0).sum(axis=(2, 4)) == 1).all()


def test_a_nan_is_not_hidden():
    images = jnp.zeros((1, 2, 4, 1)).at[0, 0, 0, 0].set(jnp.nan).at[0, 1, 3, 0].set(jnp.nan)
    assert np.isnan(jax_convolution.max_pool(images, 2)).all()


def test_a_sum_of_bfloat16_is_kept_in_float32():
    images = jnp.ones((64, 9, 9, 1), jnp.bfloat16)
    weights = jnp.zeros((1, 1, 1, 1), jnp.bfloat16)

    def total(weights):
        output = jax_convolution.convolve(images, weights, (1, 1), "VALID")
        return output.astype(jnp.float32).sum()

    # 64 x 81 ones: adding them one by one in bfloat16 would stop at 256
    assert float(jax.grad(total)(weights)[0, 0, 0, 0]) == pytest.approx(64 * 81, rel=0.01)
