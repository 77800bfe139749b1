"""What a session checks before its first run is checked with drawn pictures, too."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.fidelity.cases.case import Material
from benchmarks.fidelity.parity.cases import asked
from datasets.drawn.images import DrawnImages
from datasets.drawn.settings import Augment
from tests.helpers.planning import one


@pytest.mark.parametrize(
    ("drawn", "checked"),
    [
        (Augment(flip="both", rotation=180, crop=60), Augment(flip="both", rotation=180)),
        (Augment(quarter_turns=True), Augment(quarter_turns=True)),
        (Augment(crop=60), None),
    ],
)
def test_the_parity_check_draws_for_pictures_of_every_size(drawn, checked) -> None:
    config = one()
    recipe = msgspec.structs.replace(config.recipe, augment=drawn)
    found = asked(msgspec.structs.replace(config, recipe=recipe))
    for case in found.cases:
        epoch = Material(case).epoch(1)
        assert epoch[0].images.shape[1:] == case.input_shape
        assert isinstance(epoch.images, DrawnImages) == (checked is not None)
        if isinstance(epoch.images, DrawnImages):
            assert epoch.images.drawing.settings == checked
