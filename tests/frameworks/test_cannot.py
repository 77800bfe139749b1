"""Which forms of a default a framework lacks: what the table says, tried on the framework."""

import pytest

from frameworks.backend import Runtime, framework
from frameworks.spec.architecture import Architecture
from frameworks.spec.clipping import CLIPPINGS
from frameworks.spec.defaults import CANNOT, NATIVE, fill_architecture, fill_recipe, lacks
from frameworks.spec.layers import BatchNorm, Conv, Dense, Flatten, GroupNorm, LayerNorm
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import OPTIMIZERS, Adam, Recipe

LAYERS = (
    Conv(filters=2, kernel=1, name="conv1"),
    BatchNorm(name="batch_norm1"),
    LayerNorm(name="layer_norm1"),
    GroupNorm(groups=1, name="group_norm1"),
    Flatten(name="flatten"),
    Dense(units="classes", name="dense1"),
)


def refused(name: str, field: str, value: object) -> bool:
    """Whether the framework refuses to be built with one field of its own defaults changed."""
    chosen = framework(name)
    defaults = {**NATIVE[chosen.defaults], field: value}
    part, _, name_of_field = field.partition(".")
    switched = {"amsgrad": True} if name_of_field == "amsgrad_form" else {}  # else it has no form
    optimizer = OPTIMIZERS.get(part, Adam)(**switched)
    layers = [one for one in LAYERS if one.__struct_config__.tag in (part, "flatten", "dense")]
    architecture = fill_architecture(Architecture(name="small", layers=tuple(layers)), defaults)
    network = Network(architecture, (4, 4, 3), 3)
    clipping = CLIPPINGS[part](limit=1.0) if part in CLIPPINGS else None
    stated = Recipe(optimizer=optimizer, clipping=clipping, epochs=1, batch_size=2)
    recipe = fill_recipe(stated, defaults)
    try:
        chosen.backend()(network, recipe, Runtime(), None)
    except SpecificationError:
        return True
    return False


@pytest.mark.parametrize("name", ["keras", "torch", "jax"])
@pytest.mark.parametrize("field", ["norm.epsilon", "global_norm.epsilon"])
def test_of_a_number_that_it_refuses_a_framework_has_its_own_alone(name, field):
    for value in (0.0, 1e-6, 0.25):
        assert lacks(framework(name).defaults, field, value) == refused(name, field, value)


@pytest.mark.parametrize("name", ["keras", "torch", "jax"])
def test_a_framework_refuses_what_the_table_says_and_nothing_else(name):
    own = NATIVE[framework(name).defaults]
    others = {(field, column[field]) for column in NATIVE.values() for field in own}
    found = {(field, value) for field, value in others if refused(name, field, value)}
    assert found == set(CANNOT[framework(name).defaults].items())
