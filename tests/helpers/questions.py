"""Questions to `--explain` from a line of TOML, and what is found by field."""

from benchmarks.fidelity.explain.explain import explain
from benchmarks.fidelity.explain.question import Question, stated_fields
from frameworks.spec.architecture import from_table
from frameworks.spec.reading import parse_table
from frameworks.spec.recipe import from_table as recipe_from_table

KERAS_TORCH = ("keras", "torch")
CONV = '{{type="conv", filters=4, kernel={}}}, '
OUTPUT = '{type = "dense", units = "classes"}'


def question(layers, recipe="", names=("keras", "torch", "jax"), size=(28, 28, 1), **more):
    table = parse_table(f"layers = [{layers}]", "test")
    network = from_table(dict(table), origin="test", default_name="test")
    made = recipe_from_table(parse_table(recipe, "test"), "test")
    return Question(
        network, made, size, 10, tuple(names), stated=stated_fields(table, network), **more
    )


def found(asked):
    return {difference.field: difference for difference in explain(asked)}


def lines(difference, name):
    return [line.code for line in difference.lines if line.framework == name]


def flat(recipe, names=KERAS_TORCH, **more):
    return found(question(f'{{type = "flatten"}}, {OUTPUT}', recipe, names, **more))
