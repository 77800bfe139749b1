"""Forms of drawn weights are told apart, and never two draws of one form."""

import numpy as np
import pytest

from benchmarks.port.start import _FORM_SHOWS, _uniform


@pytest.mark.parametrize("count", [_FORM_SHOWS, 5000])
def test_a_uniform_draw_is_told_from_a_bell_shaped_one(count):
    generator = np.random.default_rng(count)

    def uniform(drawn: np.ndarray) -> bool:
        return _uniform(drawn, float(np.sqrt(np.mean(drawn**2))))

    for _ in range(300):
        normal = generator.normal(size=2 * count)
        cut = normal[np.abs(normal) < 2][:count]  # as truncated normal initialisers draw
        assert uniform(generator.uniform(-0.2, 0.2, count))
        assert not uniform(normal[:count])
        assert not uniform(cut)
