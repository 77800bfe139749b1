"""Parts of a recipe as the command line has them."""

import pytest

from benchmarks.config.overrides import READERS
from benchmarks.config.request import requested
from benchmarks.run import parser
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import ByGlobalNorm, ByValue
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Adam, EarlyStopping, KeepBest, ReduceOnPlateau
from frameworks.spec.rounds import Round
from frameworks.spec.schedules import Cosine, MultiStep, Polynomial, WarmUp

LISTS = ("class_weights", "frozen", "layer_rates", "rounds")  # options of several words


def test_an_optimizer() -> None:
    assert READERS["optimizer"]("adam") == Adam()
    made = READERS["optimizer"]("sgd,momentum=0.9,nesterov=true,learning_rate=0.05")
    assert made == SGD(learning_rate=0.05, momentum=0.9, nesterov=True)
    for text, message in (
        ("adm", "did you mean 'adam'"),
        ("sgd,momntum=0.9", "did you mean 'momentum'"),
        ("sgd,momentum=fast", "field 'momentum'"),
        ("sgd,momentum", "not field=value"),
        ("adam,clipnorm=1", "'clipnorm' is clipping = .*--clipping norm,limit=.."),
        ("sgd,clip_grad_norm_=1", "--clipping global_norm,limit=.."),
        ("adam,nesterov=true", "'nesterov' belongs to sgd, with a momentum"),
        ("sgd,amsgrad=true", "'amsgrad' belongs to adam and adamw"),
        ("adagrad,weight_decay=0.1", "'weight_decay' belongs to adamw, and to sgd and adam"),
        ("sgd,lr=0.1", "unknown field 'lr' .'lr' is learning_rate here"),
    ):
        with pytest.raises(SpecificationError, match=message):
            READERS["optimizer"](text)


def test_weight_decay_and_clipping() -> None:
    assert READERS["optimizer"]("adam,weight_decay=1e-4") == Adam(weight_decay=1e-4)
    assert READERS["optimizer"]("adam,amsgrad=true") == Adam(amsgrad=True)
    assert READERS["clipping"]("global_norm,limit=1") == ByGlobalNorm(limit=1.0)
    assert asked("--clipping", "value,limit=0.5").clipping == ByValue(limit=0.5)
    with pytest.raises(SpecificationError, match=r"^command line: clipping.limit is 0"):
        asked("--clipping", "norm,limit=0")


def test_averages_of_weights_and_groups_of_batches() -> None:
    stated = AverageWeights(decay=0.9, start="debiased")
    assert asked("--average-weights", "decay=0.9,start=debiased").average_weights == stated
    assert READERS["average_weights"]("0.9") == AverageWeights(decay=0.9)
    assert READERS["average_weights"]("") == AverageWeights()
    assert asked("--average-weights", "none").average_weights is None
    assert asked("--accumulation", "4").accumulation == 4
    for words, message in (
        ("decay=1", "average_weights.decay is 1.0; must be above 0 and below 1"),
        ("start=zero", "Invalid enum value 'zero'"),
        ("ema_momentum=0.9", "'ema_momentum' is decay here"),
    ):
        with pytest.raises(SpecificationError, match=message):
            asked("--average-weights", words)


def test_rounds() -> None:
    first = "after=2,learning_rate=0.1,frozen=conv1 conv2"
    suite = asked("--rounds", first, "after=5,frozen=none", "--epochs", "9")
    assert suite.rounds == [
        Round(after=2, learning_rate=0.1, frozen=("conv1", "conv2")),
        Round(after=5, frozen=()),
    ]
    assert asked("--rounds", "none").rounds is None
    within = "after=2,schedule=multi_step:at=1 2:factor=0.5,layer_rates=conv1=0.1:conv2=0.3"
    assert asked("--rounds", within, "--epochs", "9").rounds == [
        Round(
            after=2,
            schedule=MultiStep(at=(1, 2), factor=0.5),
            layer_rates={"conv1": 0.1, "conv2": 0.3},
        )
    ]
    for words, message in (
        (["after=3", "after=2"], "rounds begin after 3, 2 of 4 epochs; give numbers that rise"),
        (["after=4"], "from 1 to 3"),
        (["learning_rate=0.1"], "missing required field `after`"),
        (["after=1,patience=2"], "there is no early_stopping"),
        (["after=1,learning_rate=0"], "must be finite and positive"),
        (["after=1,lr=1"], "'lr' is learning_rate here"),
        (["after=1,schedule=cosin"], "did you mean 'cosine'"),
        (["after=1,layer_rates=conv1"], "is not LAYER=FACTOR"),
    ):
        with pytest.raises(SpecificationError, match=message):
            asked("--rounds", *words, "--epochs", "4")


def test_schedules() -> None:
    assert READERS["schedule"]("cosine") == Cosine()
    assert READERS["schedule"]("multi_step,at=3 6,factor=0.5,per=step") == MultiStep(
        at=(3, 6), factor=0.5, per="step"
    )
    assert READERS["warm_up"]("5") == WarmUp(length=5)
    assert READERS["warm_up"]("length=500,per=step") == WarmUp(length=500, per="step")
    suite = asked("--schedule", "polynomial,end_rate=0", "--warm-up", "2")
    assert (suite.schedule, suite.warm_up) == (Polynomial(end_rate=0.0), WarmUp(length=2))
    with pytest.raises(SpecificationError, match=r"^command line: schedule.every is 0"):
        asked("--schedule", "step,every=0")


def test_callbacks() -> None:
    assert READERS["early_stopping"]("4") == EarlyStopping(patience=4)
    assert READERS["early_stopping"](
        "patience=4, min_delta=1e-4,restore_best=true"
    ) == EarlyStopping(patience=4, min_delta=1e-4, restore_best=True)
    assert READERS["reduce_on_plateau"]("") == ReduceOnPlateau()
    assert READERS["reduce_on_plateau"](
        "monitor=validation_accuracy,factor=0.5"
    ) == ReduceOnPlateau(monitor="validation_accuracy", factor=0.5)
    assert READERS["keep_best"]("") == KeepBest()
    assert READERS["keep_best"]("validation_accuracy") == KeepBest(monitor="validation_accuracy")
    assert READERS["class_weights"](["balanced"]) == "balanced"
    assert READERS["class_weights"](["1", "0.5"]) == [1.0, 0.5]
    for name, read in READERS.items():
        if name not in ("optimizer", "loss"):
            assert read(["none"] if name in LISTS else "none") is None


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("schedule", "cosin", "--schedule: .*did you mean 'cosine'"),
        ("schedule", "OneCycleLR", "--schedule: .*'OneCycleLR' is one_cycle here"),
        ("schedule", "step,gamma=0.5", "'gamma' is factor here"),
        ("schedule", "step", "missing required field `every`"),
        ("clipping", "clip_grad_norm_,limit=1", "'clip_grad_norm_' is global_norm here"),
        ("clipping", "norm", "missing required field `limit`"),
        ("warm_up", "lenght=3", "--warm-up: .*did you mean 'length'"),
        ("early_stopping", "patiense=3", "--early-stopping: .*did you mean 'patience'"),
        (
            "early_stopping",
            "patience=" + "9" * 30,
            "--early-stopping: field 'patience': .*too large",
        ),
        ("early_stopping", "patience=1e-400", "--early-stopping: field 'patience': .*too small"),
        ("optimizer", "sgd,momentum=\u0663", "field 'momentum': Expected `float`"),
        ("early_stopping", "patience=soon", "--early-stopping: field 'patience'"),
        ("early_stopping", "-3", "'-3' is not field=value"),
        ("optimizer", "", "--optimizer: unknown optimizer ''"),
        ("sampling", "balancd", "--sampling: .*did you mean 'balanced'"),
        ("early_stopping", "", "--early-stopping: says nothing"),
        ("reduce_on_plateau", "factr=3", "--reduce-on-plateau: .*did you mean 'factor'"),
        ("reduce_on_plateau", "monitor=validation_lss", "did you mean 'validation_loss'"),
        ("keep_best", "validation_acuracy", "did you mean 'validation_accuracy'"),
        ("loss", "cross_entropi", "--loss: unknown loss .*did you mean 'cross_entropy'"),
        ("loss", "bce", "'bce' is binary_cross_entropy, of the"),
        ("loss", "cross_entropy,label_smooth=0.1", "did you mean 'label_smoothing'"),
        ("loss", "mean_squared_error,outputs=sigmod", "field 'outputs': Invalid enum value"),
        ("loss", "", "--loss: unknown loss ''"),
        ("class_weights", ["balancd"], "--class-weights: .*did you mean 'balanced'"),
        ("class_weights", ["1", "balanced"], "'balanced' is not a number"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_near_miss(field, text, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        READERS[field](text)


def asked(*arguments: str):
    return requested(parser().parse_args(list(arguments)))


def test_the_command_line_overrides_the_suite(tmp_path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'class_weights = "balanced"\nkeep_best = {}\n'
        "[early_stopping]\npatience = 4\n[reduce_on_plateau]\nfactor = 0.5\n"
    )
    suite = asked("--suite", str(file))
    assert suite.class_weights == "balanced"
    assert suite.early_stopping == EarlyStopping(patience=4)
    assert suite.reduce_on_plateau == ReduceOnPlateau(factor=0.5)
    assert suite.keep_best == KeepBest()
    off = ["--early-stopping", "none", "--keep-best", "none", "--class-weights", "none"]
    suite = asked("--suite", str(file), *off, "--reduce-on-plateau")
    assert suite.class_weights is suite.early_stopping is suite.keep_best is None
    assert suite.reduce_on_plateau == ReduceOnPlateau()
    assert asked("--class-weights", "1", "2").class_weights == [1.0, 2.0]


def test_values_out_of_range_name_the_command_line() -> None:
    with pytest.raises(SpecificationError, match=r"^command line: reduce_on_plateau.factor is 3"):
        asked("--reduce-on-plateau", "factor=3")
    with pytest.raises(SpecificationError, match=r"^command line: early_stopping.restore_best"):
        asked("--early-stopping", "patience=1,restore_best=true", "--keep-best")


@pytest.mark.parametrize(
    "words",
    [
        ("--loss-scale", "initial=2,initial=4"),
        ("--augment", "flip,rotation=5,flip=both"),
        ("--layer-rates", "conv1=1", "conv1=2"),
        ("--rounds", "after=2,after=3"),
    ],
)
def test_a_field_is_stated_once(words: tuple[str, ...]) -> None:
    with pytest.raises(SpecificationError, match="is stated twice"):
        asked(*words)
