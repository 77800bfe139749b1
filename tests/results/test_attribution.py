"""R7: which defaults are switched, what each is worth, and how it is told."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fidelity import __main__ as command
from benchmarks.fidelity.attribution import run as attribute_command
from benchmarks.fidelity.attribution import variants
from datasets import demo
from datasets.catalog import Dataset
from frameworks.backend import framework
from frameworks.spec.architecture import load, parse
from frameworks.spec.defaults import CANNOT, NATIVE, PROJECT, fill_architecture, fill_recipe
from frameworks.spec.recipe import OPTIMIZERS, SGD, Recipe
from report import page
from report.section import Note, Picture, Table
from report.sections import attribution as section
from results.parquet import findings
from results.stats.means import independent, paired
from results.store import Store
from results.studies.attribution import attribute, sentences
from results.views.views import Frames

ADAM = Recipe(epochs=1)


def trainings(effects, interaction, seeds, generator, own=None):
    """Accuracies of an additive model with an interaction of all factors, and noise per seed."""
    names = list(effects)

    def row(factor, direction, seed, accuracy, framework="torch"):
        return {
            "factor": factor,
            "direction": direction,
            "framework": framework,
            "seed": seed,
            "status": "ok",
            "reason": "",
            "accuracy": accuracy,
            "early_difference": 1e-3,
        }

    rows = []
    for seed in range(seeds):
        base = 0.5 + 0.01 * generator.standard_normal()
        total = base + sum(effects.values()) + interaction
        rows += [row("", "origin", seed, base), row("", "target", seed, total)]
        for name in names:
            rows.append(row(name, "on", seed, base + effects[name]))
            rows.append(row(name, "off", seed, total - effects[name] - interaction))
        for end, accuracy in (own or {}).items():
            rows.append(row("", "own", seed, accuracy + base - 0.5, end))
    return pd.DataFrame(rows)


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(st.sampled_from("abcde"), st.floats(-0.1, 0.1), min_size=2, max_size=5),
    st.floats(-0.05, 0.05),
    st.integers(2, 6),
)
def test_the_parts_add_up_to_the_whole(effects, interaction, seeds):
    found = attribute(trainings(effects, interaction, seeds, np.random.default_rng(0)))
    for factor in found.factors:
        assert factor.on.mean == pytest.approx(effects[factor.name], abs=1e-12)
        assert factor.off.mean == pytest.approx(effects[factor.name] + interaction, abs=1e-12)
    parts = sum(factor.worth.mean for factor in found.factors) + found.together.mean
    assert parts == pytest.approx(found.total.mean, abs=1e-12)
    assert found.total.mean == pytest.approx(sum(effects.values()) + interaction, abs=1e-12)
    sizes = [abs(factor.worth.mean) for factor in found.factors]
    assert sizes == sorted(sizes, reverse=True)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_of_two_defaults_the_worth_is_shapleys(corner):
    """Naive reference: both orders of switching on two defaults, averaged."""
    neither, first, second, both = corner
    rows = trainings({"a": 0.0, "b": 0.0}, 0.0, 1, np.random.default_rng(0))
    known = {
        ("", "origin"): neither,
        ("", "target"): both,
        ("a", "on"): first,
        ("b", "on"): second,
        ("a", "off"): second,
        ("b", "off"): first,
    }
    rows["accuracy"] = [known[f, d] for f, d in zip(rows["factor"], rows["direction"], strict=True)]
    found = {factor.name: factor.worth.mean for factor in attribute(rows).factors}
    assert found["a"] == pytest.approx(((first - neither) + (both - second)) / 2)
    assert found["b"] == pytest.approx(((second - neither) + (both - first)) / 2)


def test_intervals_are_students_and_welchs():
    from scipy import stats

    generator = np.random.default_rng(1)
    one, other = generator.normal(0, 1, 9), generator.normal(0.5, 3, 6)
    found, expected = paired(one), stats.ttest_1samp(one, 0)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((*interval, expected.pvalue))
    found, expected = (
        independent([one, other], [-1, 1]),
        stats.ttest_ind(other, one, equal_var=False),
    )
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((*interval, expected.pvalue))


def test_the_rest_is_what_the_frameworks_own_runs_differ_by_more():
    effects = {"kernel initialiser": 0.03, "adam: epsilon": 0.0}
    frame = trainings(effects, 0.0, 8, np.random.default_rng(2), own={"keras": 0.50, "torch": 0.55})
    found = attribute(frame)
    assert found.own is not None
    assert found.unexplained is not None
    assert found.own.mean == pytest.approx(0.05)
    assert found.unexplained.mean == pytest.approx(0.02)
    text = " ".join(sentences(found, "keras", "torch", "torch"))
    assert "kernel initialiser +3.00" in text
    assert "not explained by these defaults: +2.00" in text


def test_the_sign_of_the_frameworks_own_gap_does_not_hang_on_which_runs_ended():
    frame = trainings(
        {"a": 0.01}, 0.0, 6, np.random.default_rng(4), own={"keras": 0.5, "torch": 0.8}
    )
    first = frame.index[frame["direction"] == "own"][0]
    assert frame.loc[first, "framework"] == "keras"
    frame.loc[first, ["status", "reason", "accuracy"]] = ["diverged", "a loss is not finite", None]
    found = attribute(frame)
    assert found.own is not None
    assert found.own.mean == pytest.approx(0.3, abs=0.02)


def test_a_seed_that_lacks_a_variant_is_left_out_and_named():
    frame = trainings({"a": 0.01, "b": 0.02}, 0.0, 4, np.random.default_rng(3))
    bad = (frame["factor"] == "b") & (frame["seed"] == 2) & (frame["direction"] == "on")
    frame.loc[bad, ["status", "reason", "accuracy"]] = ["diverged", "a loss is not finite", None]
    found = attribute(frame)
    assert found.seeds == (0, 1, 3)
    assert found.left_out == ("b (on), torch, seed 2: diverged: a loss is not finite",)


def test_a_default_whose_trainings_all_diverged_is_not_called_an_interaction():
    """It is worth the whole difference, and what is left of that has its name."""
    frame = trainings({"a": 0.01, "k": 0.3}, 0.0, 4, np.random.default_rng(3))
    bad = (frame["factor"] == "k") & (frame["direction"] == "on")
    frame.loc[bad, ["status", "reason", "accuracy"]] = ["diverged", "a loss is not finite", None]
    found = attribute(frame)
    assert found.untold == ("k",)
    assert found.together.mean == pytest.approx(0.3)
    assert found.rest == "only together, or by k (not told apart)"
    text = " ".join(sentences(found, "keras", "torch", "torch"))
    assert "a +1.00, what they do only together, or by k (not told apart) +30.00" in text
    assert "None of them" not in text


def test_without_a_spread_there_is_no_interval():
    """As of coarse accuracies; the sign test is what is left."""
    same = paired([0.25, 0.25])
    assert np.isnan([same.low, same.high]).all()
    assert same.p == 0.5
    assert paired([0.25] * 8).p == 2.0**-7
    nothing = paired([0.0, 0.0])
    assert (nothing.low, nothing.high, nothing.p) == (0.0, 0.0, 1.0)


def test_factors_are_what_differs_and_matters_here():
    keras, torch, flax = (NATIVE[name] for name in ("keras", "torch", "flax"))
    named = variants.factors(load("c2"), ADAM, keras, torch)
    assert list(named) == [
        "kernel initialiser",
        "bias initialiser",
        "batch norm: epsilon",
        "batch norm: momentum",
        "batch norm: running variance",
        "adam: epsilon",
        "adam: epsilon form",
    ]
    assert "batch norm: variance" in variants.factors(load("c2"), ADAM, keras, flax)
    plain = variants.factors(load("c1"), Recipe(optimizer=SGD()), keras, torch)
    expected = ["sgd: learning rate", "sgd: velocity form"]
    assert list(plain) == ["kernel initialiser", "bias initialiser", *expected]
    stated = variants.factors(load("c1"), Recipe(optimizer=SGD(learning_rate=1)), keras, torch)
    assert "sgd: learning rate" not in stated


def test_norms_and_functions_of_newer_layers_are_factors():
    keras, flax = NATIVE["keras"], NATIVE["flax"]
    named = variants.factors(load("convnext_like"), ADAM, keras, flax)
    assert named["form of gelu"] == ("conv.approximate",)
    assert {"layer norm: epsilon", "layer norm: variance"} <= set(named)
    leaky = parse(
        'layers = [{type="conv", filters=2, kernel=1, activation="leaky_relu"}, '
        '{type="activation", function="leaky_relu"}, {type="average_pool", size=3, padding=1}, '
        '{type="flatten"}, {type="dense", units="classes"}]',
        origin="leaky",
        default_name="leaky",
    )
    named = variants.factors(leaky, ADAM, keras, NATIVE["torch"])
    assert named["slope of leaky_relu"] == ("conv.negative_slope", "activation.negative_slope")
    assert "average pool: count padding" in named


def test_switching_everything_on_one_by_one_leads_from_one_end_to_the_other():
    sets = list(variants.variants(load("c2"), ADAM, "keras", "torch", "torch"))
    assert [variant.direction for variant in sets[:2]] == ["origin", "target"]
    assert [variant.framework for variant in sets if variant.direction == "own"] == [
        "keras",
        "torch",
    ]
    named = variants.factors(load("c2"), ADAM, NATIVE["keras"], NATIVE["torch"])
    walked = dict(NATIVE["keras"])
    for fields in named.values():
        walked |= {field: NATIVE["torch"][field] for field in fields}
    assert fill_architecture(load("c2"), walked) == fill_architecture(load("c2"), NATIVE["torch"])
    assert fill_recipe(ADAM, walked) == fill_recipe(ADAM, NATIVE["torch"])


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("inside", ["keras", "torch", "jax"])
def test_what_a_framework_has_no_form_of_is_not_switched_inside_it(inside, optimizer):
    recipe = Recipe(optimizer=OPTIMIZERS[optimizer](), epochs=1)
    lacking = {
        "keras": {"batch norm: running variance", "batch norm: variance"},
        "torch": {"batch norm: variance"},
        "jax": set(),
    }[inside]
    if (inside, optimizer) == ("keras", "rmsprop"):
        lacking |= {"rmsprop: epsilon in root"}
    asked = (load("c2"), recipe, "torch", "jax", inside)
    told = variants.not_switched(*asked)
    assert set(told) == lacking
    assert all("jax" in able and inside not in able for able in told.values())
    sets = [one for one in variants.variants(*asked) if one.direction != "own"]
    assert not lacking & {one.factor for one in sets}
    for field, value in CANNOT[framework(inside).defaults].items():
        assert value not in {one.defaults[field] for one in sets}


def test_a_default_that_cannot_be_switched_is_told_and_the_others_are_counted():
    frame = trainings({"a": 0.01}, 0.0, 4, np.random.default_rng(5))
    found = attribute(
        pd.concat([frame, pd.DataFrame([attribute_command._not_run("b", ["jax"], "torch")])])
    )
    assert [factor.name for factor in found.factors] == ["a"]
    assert found.seeds == (0, 1, 2, 3)
    (told,) = found.left_out
    assert told.startswith("b (on), torch, seed 0: not run: torch has no form of it")
    assert "--inside jax switches it" in told


def test_nothing_to_attribute_is_said(capsys):
    same = ["--native", "keras", "keras@jax", "--architectures", "c1"]
    assert command.main(same) == 2
    assert "nothing to attribute" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--native", "keras", "torhc"], "did you mean 'torch'"),
        (
            ["--native", "keras", "torch", "--optimizers", "adan"],
            "did you mean 'adam'",
        ),
        (["--native", "keras", "torch", "--pictures", "missing.h5"], "missing.h5"),
    ],
)
def test_bad_input_is_told_in_a_line(arguments, words, capsys):
    assert command.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_real_attribution_from_training_to_page(tmp_path, capsys):
    """Batch-norm momentum against nothing: 0.9 tests better after a dozen steps than 0.99."""
    pytest.importorskip("torch")
    network = tmp_path / "net.toml"
    network.write_text(
        'layers = [{type = "conv", filters = 4, kernel = 3, stride = 3}, {type = "batch_norm"},'
        '{type = "activation", function = "relu"}, {type = "flatten"},'
        '{type = "dense", units = "classes"}]'
    )
    status = command.main(
        [
            *("--native", "matched", "torch", "--architectures", str(network)),
            *("--size", "12", "--batch-size", "100", "--epochs", "1", "--seeds", "2"),
            *("--store", str(tmp_path / "runs")),
        ]
    )
    assert status == 0
    assert "batch norm: momentum" in capsys.readouterr().out
    kept = findings.read_trainings(tmp_path / "runs")
    assert set(kept["status"]) == {"ok"}
    ends = kept[kept["direction"] == "origin"].set_index("seed")
    switched = kept[(kept["factor"] == "batch norm: momentum") & (kept["direction"] == "on")]
    # training does not look at the running statistics: the losses are the same, the test is not
    assert (switched["early_difference"] == 0).all()
    assert (switched.set_index("seed")["cross_entropy"] != ends["cross_entropy"]).all()
    other = kept[(kept["factor"] == "kernel initialiser") & (kept["direction"] == "on")]
    assert (other["early_difference"] > 1e-3).all()
    written = page.write(Store(tmp_path / "runs"), tmp_path / "report")
    text = written.page.read_text(encoding="utf-8")
    assert "Which default is to blame?" in text
    assert "The results" not in text  # no runs, no empty table of them


def test_what_was_trained_before_an_interruption_is_kept(tmp_path, capsys, monkeypatch):
    """Of two seeds the first and the second's origin, and no training of the other framework."""

    def interrupted(frameworks, cases, directory, **how):
        (name,) = frameworks
        folder = directory / f"{name}-float32"
        folder.mkdir(parents=True)
        for case in cases[: len(cases) // 2 + 1]:
            logits = np.eye(10)[np.arange(case.test_images) % 10]
            np.savez(folder / f"{case.name}.npz", predictions=logits, losses=np.ones(20))
        (folder / "half.part").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(attribute_command, "collect", interrupted)
    arguments = ["--native", "matched", "torch", "--architectures", "c1", "--seeds", "2"]
    arguments += ["--inside", "torch", "--store", str(tmp_path)]
    assert command.main(arguments) == 130
    kept = findings.read_trainings(tmp_path)
    assert f"{len(kept)} trainings of c1 are kept" in capsys.readouterr().err
    assert set(kept["status"]) == {"ok"}
    assert kept.groupby("seed").size().tolist() == [len(kept) - 1, 1]
    of_the_first = kept[kept["direction"].isin(["on", "off"])]
    assert len(of_the_first) >= 4
    assert (of_the_first["early_difference"] == 0).all()


def test_galaxies_are_split_by_class_with_the_test_images_last(tmp_path):
    images, labels = demo.generate(200, 0)
    data = Dataset("demo", images, labels, tuple("0123456789"), "native", "rgb", "0" * 64, None, "")
    made = variants.prepare(data, tmp_path)
    with np.load(made.path) as kept:
        assert len(kept["images"]) == made.train_images + made.test_images == 200
        assert made.test_images == pytest.approx(60, abs=5)
        np.testing.assert_array_equal(kept["labels"], made.labels)
        assert set(kept["labels"][-made.test_images :]) == set(labels)
        shown = {image.tobytes() for image in kept["images"]}
    assert shown == {image.tobytes() for image in images}


def test_the_page_shows_the_latest_of_each_and_refuses_half_ones(tmp_path):
    common = {
        "architecture": "c2",
        "optimizer": "adam",
        "epochs": 3,
        "batch_size": 64,
        "dataset": "efigi",
        "image_height": 40,
        "train_images": 100,
        "test_images": 50,
        "origin": "keras",
        "target": "torch",
        "inside": "torch",
        "machine": "{}",
        "versions": "{}",
        "command": "invented command",
    }
    frame = trainings({"kernel initialiser": 0.02}, 0.0, 5, np.random.default_rng(4))
    for day, rows in ((1, frame[frame["seed"] < 2]), (2, frame)):
        findings.append_trainings(
            tmp_path,
            [row | common for row in rows.to_dict("records")],
            started_at=datetime(2026, 1, day, tzinfo=UTC),
        )
    lonely = frame[frame["direction"] == "origin"].to_dict("records")
    findings.append_trainings(
        tmp_path,
        [row | common | {"architecture": "unam"} for row in lonely],
        started_at=datetime(2026, 1, 3, tzinfo=UTC),
    )
    made = section.defaults(Frames.load(Store(tmp_path)))
    assert made is not None
    (picture,) = [block for block in made.blocks if isinstance(block, Picture)]
    assert "5 seeds" in picture.caption
    (table,) = [block for block in made.blocks if isinstance(block, Table)]
    assert table.rows[0][:2] == ["kernel initialiser", "+2.00"]
    warnings = [b.text for b in made.blocks if isinstance(b, Note) and b.kind == "warning"]
    assert warnings == ["unam: no seed has a finished training of every variant."]


def test_matched_is_the_projects_own_column():
    assert variants.defaults_of("matched") is PROJECT
