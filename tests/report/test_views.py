"""Nothing unlike is pooled, and nothing that was not the same experiment is called comparable."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.given import checks, refusal
from results.task import ABSENT, stored, task_id
from results.views.looks import looks, ordered
from results.views.views import Frames
from tests.helpers.factory import synthetic_run

LAYERS = ("conv", "dense")


def frames_of(*runs: dict) -> Frames:
    """Frames of runs alone, as `Store.runs` would give them."""
    import json

    rows = [{**{"reason": None, "log": None}, **run} for run in runs]
    for row in rows:
        row["task_id"] = task_id(stored(row["config"], row["architecture_hash"], row["cell_id"]))
        row["config"] = json.dumps(row["config"])
    return Frames(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame(), [])


def of_runs(*runs: dict) -> Frames:
    """The same by way of the rows that count."""
    return Frames.of_runs(frames_of(*runs).runs)


def run_of(framework: str = "keras", architecture: str = "unam", seed: int = 0, **changes) -> dict:
    return synthetic_run(framework, architecture, seed, epochs=1, **changes)[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dataset", "galaxy10"),
        ("dataset_sha256", "0" * 64),
        ("labels", "4way"),
        ("channels", "0"),
        ("image_height", 128),
        ("parity", "native"),
        ("tuning", "tuned"),
        ("precision", "bfloat16"),
        ("device", "cuda"),
        ("machine_id", "another"),
        ("threads", 8),
    ],
)
def test_unlike_runs_are_in_different_views(column: str, value: object) -> None:
    found = frames_of(run_of(), run_of("torch"), run_of(**{column: value})).views
    assert sorted(len(view.runs) for view in found) == [1, 2]
    assert len({view.slug for view in found}) == 2
    assert len({view.title for view in found}) == 2


SETTINGS = {
    "architecture": ["unam", "c2"],
    "batch_size": [32, 64],
    "learning_rate": [1e-3, 1e-2],
    "precision": ["float32", "float64"],
    "split_by": ["galaxy", "copy"],
    "machine_id": ["a", "b"],
    "experiment": [None, "one", "other"],
    "config": [{}, {"feed": "staged"}, {"a_later_field": 1}, {"recipe": {"a_later_field": 1}}],
}
CHANGES = st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in SETTINGS.items()})


@settings(max_examples=40)
@given(st.lists(CHANGES, min_size=2, max_size=6))
def test_no_panel_holds_two_tasks_and_no_two_have_one_name(changes: list[dict]) -> None:
    """A field that is added to the configuration later is told apart without a word for it."""
    frames = frames_of(*(run_of(seed=seed, **one) for seed, one in enumerate(changes)))
    panels = [panel for view in frames.views for panel in view.panels]
    groups = [set(zip(p.runs["task_id"], p.runs["machine_id"], strict=True)) for p in panels]
    assert all(len(group) == 1 for group in groups)
    assert sum(len(panel.runs) for panel in panels) == len(changes)
    names = [(view.title, panel.name) for view in frames.views for panel in view.panels]
    assert len(set(names)) == len(names)
    assert not any("variant" in word for name in names for word in name)


def test_null_settings_do_not_lose_runs() -> None:
    found = frames_of(run_of(threads=None), run_of("torch", threads=None)).views
    assert [len(view.runs) for view in found] == [2]


def test_panels_are_named_by_what_tells_them_apart() -> None:
    view = frames_of(
        run_of(),
        run_of("torch"),
        run_of(batch_size=32, config={"recipe": {"batch_size": 32}}),
        run_of(architecture="c2"),
    ).views[0]
    assert [panel.name for panel in view.panels] == ["c2", "unam, batch 32", "unam, batch 64"]
    assert [panel.frameworks for panel in view.panels] == [["keras"], ["keras"], ["keras", "torch"]]


def test_panels_that_differ_in_the_configuration_alone_are_kept_apart() -> None:
    config = {"architecture": "unam", "recipe": {"l2": 0.1}}
    other = {"architecture": "unam", "recipe": {"l2": 0.2}}
    view = frames_of(run_of(config=config), run_of("torch", config=other, cell_id="other")).views[0]
    assert [panel.name for panel in view.panels] == ["unam, l2 0.1", "unam, l2 0.2"]


@pytest.mark.parametrize("field", [name for name in ABSENT if name.split(".")[0] not in LAYERS])
def test_a_field_added_to_the_configuration_splits_no_cell(field: str) -> None:
    value = ABSENT[field]
    for part in reversed(field.split(".")):
        value = {part: value}
    old = run_of(seed=0)
    later = run_of(seed=1, config=value)
    assert [len(panel.ok) for panel in frames_of(old, later).views[0].panels] == [2]


def test_copies_and_parts_of_the_galaxies_are_kept_apart_and_named() -> None:
    earlier = dict.fromkeys(("fraction", "augmentation", "split_by", "test_copies"))  # null
    copies = {"augmentation": "crops40"}
    found = of_runs(
        run_of(seed=0),
        run_of(seed=1, **earlier),
        run_of(seed=2, fraction=0.1),
        run_of(seed=3, **copies),
        run_of("torch", seed=3, **copies, split_by="copy", cell_id="leaks"),
    ).views
    titles = {view.title: [len(panel.ok) for panel in view.panels] for view in found}
    plain = min(titles, key=len)
    assert titles == {plain: [2], f"{plain}, fraction 0.1": [1], f"{plain}, crops40": [1, 1]}
    (view,) = (view for view in found if "crops40" in view.title)
    assert [panel.name for panel in view.panels] == ["unam, split by copy (leak)", "unam"]
    assert view.data.endswith("69×69 pixels, crops40")
    assert any(view.data.endswith("69×69 pixels") for view in found)


def test_copies_are_checked_where_there_are_some() -> None:
    plain = checks(pd.DataFrame([run_of(), run_of("torch")]), "matched")
    assert "augmented pictures" not in {check.what for check in plain}
    given = [run_of(augmentation_hash="a"), run_of("torch", augmentation_hash="b")]
    assert "augmented pictures (seed 0)" in refusal(checks(pd.DataFrame(given), "native"))


def native_config(framework: str, *, rate: float = 1e-3, filters: int = 8) -> dict:
    """A configuration with the defaults that are a framework's own."""
    layers = [
        {"type": "conv", "name": None, "filters": filters, "kernel_initializer": framework},
        {"type": "batch_norm", "momentum": framework},
    ]
    optimizer = {"name": "adam", "learning_rate": rate, "epsilon": framework}
    return {"architecture": {"name": "unam", "layers": layers}, "recipe": {"optimizer": optimizer}}


@pytest.mark.parametrize("changes", [{"rate": 0.1}, {"filters": 16}])
def test_native_runs_of_unlike_recipes_or_layers_are_kept_apart(changes: dict) -> None:
    config = native_config("torch", **changes)
    view = frames_of(
        run_of(parity="native", config=native_config("keras"), architecture_hash="8 filters"),
        run_of(
            "torch",
            parity="native",
            config=config,
            architecture_hash=f"{changes.get('filters', 8)} filters",
            learning_rate=config["recipe"]["optimizer"]["learning_rate"],
        ),
    ).views[0]
    assert sorted(panel.frameworks for panel in view.panels) == [["keras"], ["torch"]]
    assert len({panel.name for panel in view.panels}) == 2


def test_native_momentum_of_the_optimizer_is_no_default() -> None:
    """Batch normalisation's momentum is each framework's own; that of SGD is stated."""
    configs = [
        {"recipe": {"optimizer": {"name": "sgd", "momentum": value}}} for value in (0.0, 0.9)
    ]
    view = frames_of(
        run_of(parity="native", config=configs[0]),
        run_of("torch", parity="native", config=configs[1]),
    ).views[0]
    assert len(view.panels) == 2


def test_runs_on_two_machines_and_earlier_success_are_not_hidden() -> None:
    def one(execution: int, **changes: object) -> dict:
        run = run_of(execution=execution, **changes)
        return {"reason": None, "log": None, **run}

    runs = pd.DataFrame(
        [
            one(0, machine_id="a"),
            one(1, machine_id="a"),
            one(2, machine_id="a", status="oom"),
            one(3, machine_id="b"),
            one(4, machine_id=None, status="oom"),
            one(5, machine_id=None, status="timeout"),
        ]
    )
    found = Frames.of_runs(runs).runs
    assert found["execution_id"].tolist() == runs["execution_id"].iloc[[1, 3, 5]].tolist()


def test_native_defaults_of_each_framework_share_a_panel() -> None:
    runs = [
        run_of(
            framework,
            parity="native",
            config=native_config(framework),
        )
        for framework in ("keras", "torch", "jax")
    ]
    view = frames_of(*runs).views[0]
    assert len(view.panels) == 1
    assert view.panels[0].refusal == ""


def test_an_older_definition_of_a_network_is_not_mixed_in() -> None:
    """Of one task under native parity, whose defaults a framework's new version changed."""
    early = run_of(parity="native", seed=0)
    late = run_of(parity="native", seed=1, cell_id="edited")
    panel = frames_of(early, late).views[0].panels[0]
    assert panel.runs["seed"].tolist() == [1]


def test_failed_runs_are_counted_and_not_shown() -> None:
    view = frames_of(run_of(), run_of("torch", status="oom"), run_of("torch", "c2", status="oom"))
    finished = view.finished_views[0]
    assert [panel.name for panel in finished.panels] == ["unam"]
    assert finished.panels[0].frameworks == ["keras"]
    assert len(view.views[0].panels) == 2
    assert frames_of(run_of(status="error")).finished_views == []


def test_real_data_stand_before_demo_data() -> None:
    found = frames_of(run_of(), run_of("torch"), run_of(dataset="galaxy10")).views
    assert [view.demo for view in found] == [False, True]
    assert found[1].title.startswith("DEMO data")


def matched_pair(**changes: object) -> pd.DataFrame:
    return pd.DataFrame([run_of("keras"), run_of("torch", **changes)])


def test_equal_hashes_are_comparable() -> None:
    found = checks(matched_pair(), "matched")
    assert {check.verdict for check in found} == {"equal"}
    assert refusal(found) == ""


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("split_hash", "split"),
        ("order_hash", "batch order"),
        ("weights_hash", "initial weights"),
        ("masks_hash", "dropout masks"),
        ("parameters", "parameter count"),
    ],
)
def test_different_hashes_refuse_the_comparison(column: str, words: str) -> None:
    for value in (7, None):
        found = checks(matched_pair(**{column: value}), "matched")
        assert refusal(found) == (f"comparison refused: the frameworks differ in {words} (seed 0)")


def test_native_weights_differ_by_design_but_the_split_must_not() -> None:
    runs = pd.DataFrame([run_of("keras", parity="native"), run_of("torch", parity="native")])
    found = checks(runs, "native")
    assert {c.what: c.verdict for c in found}["initial weights"] == "by design"
    assert refusal(found) == ""
    runs.loc[1, "split_hash"] = "other"
    assert "split" in refusal(checks(runs, "native"))


def test_nothing_recorded_is_said_and_one_framework_is_alone() -> None:
    runs = matched_pair()
    runs["masks_hash"] = None
    assert {c.what: c.verdict for c in checks(runs, "matched")}["dropout masks"] == "none"
    alone = checks(runs.head(1), "matched")
    assert {c.verdict for c in alone} == {"alone", "none"}


def test_only_the_seeds_that_differ_are_named() -> None:
    runs = pd.DataFrame([run_of(f, seed=s) for f in ("keras", "torch") for s in (0, 1, 2)])
    runs.loc[(runs["framework"] == "torch") & (runs["seed"] > 0), "order_hash"] = "x"
    assert refusal(checks(runs, "matched")).endswith("batch order (seeds 1, 2)")


def test_every_framework_has_a_colour_of_its_own() -> None:
    names = ["jax", "zeta", "keras@jax", "torch", "keras", "alpha", "keras@torch"]
    assert ordered(names) == ["keras", "keras@torch", "keras@jax", "torch", "jax", "alpha", "zeta"]
    found = looks(names)
    assert len({look.colour for look in found.values()}) == len(names)
    assert len({look.marker for look in found.values()}) == len(names)
    assert looks(["torch"])["torch"] == found["torch"]
