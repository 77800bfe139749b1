"""What is said of a specification and a recipe follows from what they state."""

import msgspec
import pytest

from benchmarks.fidelity.explain.explain import explain, load, text
from frameworks.spec.architecture import BatchNorm, Conv, available, parse
from frameworks.spec.architecture import load as architecture
from frameworks.spec.defaults import NATIVE, PROJECT
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import OPTIMIZERS, SGD, Adam, EarlyStopping, Recipe, ReduceOnPlateau


def found(network, recipe=None):
    network = architecture(network) if isinstance(network, str) else network
    return {difference.field: difference for difference in explain(network, recipe or Recipe())}


def of(layers):
    return parse(f"layers = [{layers}]", origin="test", default_name="test")


def test_without_batch_norm_its_defaults_do_not_matter():
    without, with_norm = found("c2_no_bn"), found("c2")
    for field in ("epsilon", "momentum", "running_variance", "variance"):
        assert without[f"batch_norm.{field}"].matters == "no"
        assert with_norm[f"batch_norm.{field}"].matters != "no"


def test_what_every_layer_states_does_not_matter():
    network = architecture("c2")
    layers = tuple(
        msgspec.structs.replace(layer, epsilon=2e-3, momentum=0.75)
        if isinstance(layer, BatchNorm)
        else layer
        for layer in network.layers
    )
    stated = found(msgspec.structs.replace(network, layers=layers))
    assert stated["batch_norm.epsilon"].matters == "no"
    assert "states" in stated["batch_norm.epsilon"].why
    assert stated["batch_norm.momentum"].align["torch"].endswith("momentum=0.25)")
    assert stated["batch_norm.running_variance"].matters == "yes"


def test_a_constant_rate_makes_the_form_of_the_velocity_null():
    momentum = found("c1", Recipe(optimizer=SGD(momentum=0.9)))["sgd.velocity_form"]
    assert momentum.matters == "no"
    assert "constant" in momentum.why
    plain = found("c1", Recipe(optimizer=SGD()))["sgd.velocity_form"]
    assert "no momentum" in plain.why


def test_a_rate_that_a_plateau_lowers_makes_the_form_of_the_velocity_matter():
    plateau = ReduceOnPlateau(min_delta=0.0)
    recipe = Recipe(optimizer=SGD(momentum=0.9), reduce_on_plateau=plateau)
    assert found("c1", recipe)["sgd.velocity_form"].matters == "yes"
    optimizer = SGD(momentum=0.9, velocity_form="rate_inside")
    stated = msgspec.structs.replace(recipe, optimizer=optimizer)
    assert found("c1", stated)["sgd.velocity_form"].matters == "no"


@pytest.mark.parametrize("delta", [0.0, 1e-3])
def test_the_line_of_a_plateau_is_one_that_optax_takes(delta):
    recipe = Recipe(reduce_on_plateau=ReduceOnPlateau(min_delta=delta))
    line = found("c1", recipe)["reduce_on_plateau.min_delta"].align["flax"]
    import optax.contrib

    assert eval(line, {"optax": optax}).init is not None


def test_epsilon_of_zero_has_no_form():
    assert found("c1", Recipe(optimizer=Adam(epsilon=0.0)))["adam.epsilon_form"].matters == "no"
    form = found("c1", Recipe(optimizer=Adam(beta_2=0.9375)))["adam.epsilon_form"]
    assert form.matters == "yes"
    assert "4 times" in form.why  # 1 / sqrt(1 - 0.9375)
    stated = found("c1", Recipe(optimizer=Adam(epsilon_form="paper")))["adam.epsilon_form"]
    assert stated.matters == "no"


def test_sizes_say_where_they_come_from():
    for name in available():
        for optimizer in OPTIMIZERS.values():
            for difference in explain(architecture(name), Recipe(optimizer=optimizer())):
                assert not difference.size or difference.size.startswith(
                    ("measured", "by formula", "reported", "not measured", "another shape")
                ), difference


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_field_that_frameworks_default_differently_is_explained(optimizer):
    recipe = Recipe(optimizer=OPTIMIZERS[optimizer]())
    differences = found("dieleman_bn", recipe)
    own = ("conv.", "dense.", "batch_norm.", f"{optimizer}.")
    fields = {field for field in PROJECT if field.startswith(own)}
    assert fields <= set(differences)
    for field in fields:
        natives = [str(NATIVE[name][field]) for name in ("keras", "torch", "flax")]
        assert list(differences[field].native.values()) == natives
        assert set(differences[field].align) == {"keras", "torch", "flax"}


def test_l2_max_norm_and_dropout_follow_the_layers():
    unam, c1 = found("unam"), found("c1")
    assert unam["l2"].matters == "yes"
    assert "0.001" in unam["l2"].align["torch"]
    assert c1["l2"].matters == "no"
    output = '{type = "dense", units = "classes"}'
    held = found(of(f'{{type = "flatten"}}, {{type = "dense", units = 3, max_norm = 2}}, {output}'))
    assert held["max_norm"].matters == "yes"
    assert held["dropout masks"].matters == "no"
    assert held["inference mode"].matters == "no"
    assert held["max_pool.stride"].matters == "no"
    assert held["conv.padding"].matters == "no"


def test_class_weights_and_callbacks_matter_where_the_recipe_has_them():
    names = ["loss.class_weights", "early_stopping.patience", "weights to end with"]
    names += ["reduce_on_plateau.min_delta", "reduce_on_plateau.patience"]
    plain = found("c1")
    assert {plain[name].matters for name in names} == {"no"}
    recipe = Recipe(
        class_weights=(1.0, 2.0),
        early_stopping=EarlyStopping(patience=4, restore_best=True),
        reduce_on_plateau=ReduceOnPlateau(patience=3, cooldown=2),
    )
    asked = found("c1", recipe)
    assert {asked[name].matters for name in names} == {"yes"}
    assert "sum of the weights" in asked["loss.class_weights"].why
    assert "patience=3)" in asked["early_stopping.patience"].align["flax"]
    assert "patience=2, cooldown=1" in asked["reduce_on_plateau.patience"].align["torch"]
    for name in names:
        assert set(asked[name].align) == {"keras", "torch", "flax"}


def test_a_choice_that_is_not_the_usual_one_has_lines_of_its_own():
    kept, dropped = (found("c1", Recipe(partial_batch=word)) for word in ("keep", "drop"))
    assert kept["batches.partial"].align["keras"] == "as it is"
    assert dropped["batches.partial"].align["keras"] == "cut the arrays to whole batches"
    for in_root, flax in ((True, "as it is"), (False, "optax.rmsprop(..., eps_in_sqrt=False)")):
        recipe = Recipe(optimizer=OPTIMIZERS["rmsprop"](epsilon_in_root=in_root))
        assert found("c1", recipe)["rmsprop.epsilon_in_root"].align["flax"] == flax


def test_same_padding_with_a_stride_may_matter():
    network = architecture("c1")
    layers = tuple(
        msgspec.structs.replace(layer, padding="same", stride=2)
        if isinstance(layer, Conv)
        else layer
        for layer in network.layers
    )
    changed = found(msgspec.structs.replace(network, layers=layers))
    assert changed["conv.odd_zero_of_same_at_stride_2"].matters == "sometimes"
    assert found("c1")["conv.odd_zero_of_same_at_stride_2"].matters == "no"


def test_the_text_has_three_groups_and_lines_for_each_framework():
    lines = list(text(explain(architecture("c2"), Recipe())))
    assert [line.split(" (")[0] for line in lines if line and line[0] != " "] == [
        "Will matter",
        "May matter",
        "Will not matter",
    ]
    start = lines.index(next(line for line in lines if "  adam.epsilon:" in line))
    assert lines[start + 3 : start + 6] == [
        "    Keras    keras.optimizers.Adam(..., epsilon=1e-07)",
        "    PyTorch  torch.optim.Adam(..., eps=1e-07)",
        "    Flax     optax.adam(..., eps=1e-07)",
    ]


# ---- files

LAYERS = """
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = "classes"
"""


def test_a_file_may_have_a_recipe(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[recipe]\nbatch_size = 8\noptimizer = {name = "sgd", momentum = 0.5}\n' + LAYERS
    )
    network, recipe = load(path)
    assert network.name == "mine"
    assert recipe == Recipe(optimizer=SGD(momentum=0.5), batch_size=8)
    path.write_text('[recipe]\noptimizer = "sgd"\n' + LAYERS)
    assert load(path)[1].optimizer == SGD()
    path.write_text(LAYERS)
    assert load(path)[1] == Recipe()
    assert load("c2") == (architecture("c2"), Recipe())


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ('optimizer = "adm"', r"unknown optimizer 'adm' \(did you mean 'adam'"),
        ("optimizer = 3", "field 'optimizer': expected a name or a table"),
        ("batchsize = 3", r"unknown field 'batchsize' \(did you mean 'batch_size'"),
        ('optimizer = {name = "adam", rho = 0.9}', "optimizer 'adam': unknown field 'rho'"),
        ("batch_size = 0", "batch_size is 0; must be at least 1"),
        ('batch_size = "many"', "batch_size"),
    ],
)
def test_a_bad_recipe_names_the_file_and_the_field(tmp_path, recipe, expected):
    path = tmp_path / "mine.toml"
    path.write_text(f"[recipe]\n{recipe}\n{LAYERS}")
    with pytest.raises(SpecificationError, match=expected) as error:
        load(path)
    assert "mine.toml: [recipe]" in str(error.value)


def test_a_bad_file_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    with pytest.raises(SpecificationError, match=r"mine\.toml: no such file"):
        load(path)
    path.write_text("layers = [")
    with pytest.raises(SpecificationError, match=r"mine\.toml: not valid TOML"):
        load(path)
    path.write_text("recipe = 3\n" + LAYERS)
    with pytest.raises(SpecificationError, match=r"\[recipe\]: expected a table, got int"):
        load(path)
