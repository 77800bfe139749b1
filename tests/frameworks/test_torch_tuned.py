"""What is the tuned PyTorch backend's own: its batch norm, its feeds, its fallback."""

import numpy as np
import pytest
import torch

from datasets.batches import Epoch, MaskSpec, split_into_batches
from frameworks import feed
from frameworks.backend import Framework, Runtime, framework
from frameworks.spec import recipe
from frameworks.spec.architecture import BatchNorm, Conv, Dropout, Flatten, MaxPool
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.reading import SpecificationError
from frameworks.torch import channels_last
from frameworks.torch.backend import TorchBackend
from frameworks.torch.channels_last import batch_norm
from frameworks.torch.graph import StepGraph
from frameworks.torch.tuned import TunedTorchBackend
from frameworks.torch.tuned_model import TunedGalaxyNet, use_own_depthwise
from tests.helpers import cpu_graphs
from tests.helpers.small_networks import network, random_weights

NET = network(
    Conv(filters=4, kernel=3, activation="relu"),
    MaxPool(size=2),
    Dropout(rate=0.25),
    BatchNorm(),
    Flatten(),
)
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (11, *NET.input_shape), dtype=np.uint8)
LABELS = GENERATOR.integers(0, NET.classes, 11)
ON_GPU = ("compiled", "one_graph", "device_masks")  # choices that a CPU does not have


def epoch():
    masks = MaskSpec(NET.dropout_shapes, NET.dropout_rates, 0)
    return Epoch(IMAGES, LABELS, split_into_batches(np.arange(11), 4), 1, masks)


def backend(kind=TunedTorchBackend, optimizer=None, **runtime):
    filled = fill_recipe(recipe.Recipe(optimizer=optimizer or recipe.Adam(), batch_size=4))
    return kind(NET, filled, Runtime(precision="float64", **runtime), random_weights(NET))


def test_the_registry_knows_both_tunings():
    assert framework("torch").backend() is TorchBackend
    assert framework("torch").backend("tuned") is TunedTorchBackend
    with pytest.raises(SpecificationError, match="did you mean 'tuned'"):
        framework("torch").backend("tunde")
    with pytest.raises(SpecificationError, match="'mine' has no tuned backend"):
        Framework("mine", "module:class", {}, "torch").backend("tuned")


def test_batch_norm_sums_more_exactly_than_plain_float32():
    x = torch.from_numpy(GENERATOR.normal(3, 1, (64, 32, 63, 63)))
    single = x.float().contiguous(memory_format=torch.channels_last)
    _, mean, variance = batch_norm(single, torch.ones(32), torch.zeros(32), 1e-3)
    exact = single.double()
    assert torch.allclose(mean.double(), exact.mean((0, 2, 3)), rtol=1e-6)
    assert torch.allclose(variance.double(), exact.var((0, 2, 3), correction=0), rtol=2e-6)


@pytest.mark.parametrize("small", [0, 10**9])
def test_batch_norm_has_the_gradient_of_its_formula(small, monkeypatch):
    monkeypatch.setattr(channels_last, "_SMALL", small)
    monkeypatch.setattr(channels_last, "_FEW", 2)  # rows at a time
    monkeypatch.setattr(channels_last, "_WIDE_SLOPES", 24)  # of six pixels
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    gamma, beta = torch.randn(2, 4, dtype=torch.float64)
    inputs = [t.clone().requires_grad_() for t in (x, gamma, beta)]
    assert torch.autograd.gradcheck(lambda *a: batch_norm(*a, 1e-3)[0], inputs)


@pytest.mark.parametrize(
    ("size", "kernel", "step", "zeros"),
    [
        (9, (5, 5), 1, (2, 2)),
        (9, (3, 5), 2, (1, 2)),
        (11, (7, 7), 1, (3, 3)),
        (12, (2, 7), 2, (0, 0)),
    ],
)
def test_wide_depthwise_convolutions_have_pytorchs_gradients(size, kernel, step, zeros):
    assert channels_last.is_wide(kernel, (step, step))
    x = torch.randn(3, 6, size, size, dtype=torch.float64)
    inputs = [x.contiguous(memory_format=torch.channels_last), torch.randn(6, 1, *kernel).double()]
    inputs = [one.requires_grad_() for one in (*inputs, torch.randn(6).double())]
    ours = channels_last.convolve(*inputs, (step, step), zeros)
    theirs = torch.nn.functional.conv2d(*inputs, step, zeros, groups=6)
    assert torch.equal(ours, theirs)
    slope = torch.randn_like(ours)
    for found, expected in zip(
        *(torch.autograd.grad(one, inputs, slope) for one in (ours, theirs)), strict=True
    ):
        assert torch.allclose(found, expected, rtol=1e-10)


def test_a_tuned_network_takes_our_gradient_where_it_is_fast():
    wide = network(
        Conv(filters=2, kernel=5, groups="channels", padding=2),
        Conv(filters=2, kernel=3, groups="channels"),
        Conv(filters=2, kernel=4, stride=2, groups="channels"),  # no whole steps
        Flatten(),
    )
    model = TunedGalaxyNet(wide, channels_last=True, delayed_relu=True, native_dropout=True)
    use_own_depthwise(model)
    own = [name for name in ("l0", "l1", "l2") if "_conv_forward" in vars(model.of(name))]
    assert own == ["l0"]


def test_staged_streamed_and_idiomatic_train_alike():
    staged, streamed, idiomatic = backend(), backend(), backend(TorchBackend)
    staged.stage(IMAGES, LABELS)
    assert staged.settings()["data"] == "on the device, uint8"
    assert streamed.settings()["data"] == "streamed"
    results = [one.train_epoch(epoch()) for one in (staged, streamed, idiomatic)]
    for found in results[:2]:
        assert found.loss == pytest.approx(results[2].loss, rel=1e-12)
        assert found.accuracy == results[2].accuracy
    expected = idiomatic.get_weights()
    for key, value in staged.get_weights().items():
        np.testing.assert_array_equal(value, streamed.get_weights()[key])
        np.testing.assert_allclose(value, expected[key], rtol=1e-7, atol=1e-9)
    assert staged.host_wait_seconds > 0


@pytest.mark.parametrize("feed", ["staged", "streamed"])
def test_masks_drawn_on_the_device_are_those_of_the_host(feed):
    on_host, on_device = backend(feed=feed), backend(feed=feed)
    on_device.draws_masks = True
    for one in (on_host, on_device):
        one.stage(IMAGES, LABELS)
    assert not any(chunk.masks for chunk in on_device.chunks(epoch()))
    assert on_device.settings()["masks"] == "drawn on the device"
    assert on_host.train_epoch(epoch()) == on_device.train_epoch(epoch())


def test_a_streamed_feed_can_be_asked_for_and_trains_alike():
    streamed, staged = backend(feed="streamed"), backend(feed="staged")
    for one in (streamed, staged):
        one.stage(IMAGES, LABELS)
    assert streamed.settings()["data"] == "streamed"
    assert staged.settings()["data"] == "on the device, uint8"
    assert streamed.train_epoch(epoch()) == staged.train_epoch(epoch())


def test_a_staged_feed_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(feed, "STAGED_SHARE", 0.0)
    with pytest.raises(SpecificationError, match="use feed auto or streamed"):
        backend(feed="staged").stage(IMAGES, LABELS)


def test_what_does_not_fit_is_streamed(monkeypatch):
    monkeypatch.setattr(feed, "STAGED_SHARE", 0.0)
    one = backend()
    one.stage(IMAGES, LABELS)
    assert one.settings()["data"] == "streamed"
    assert np.isfinite(one.train_epoch(epoch()).loss)


@pytest.mark.parametrize("choice", [c for c in TunedTorchBackend.CHOICES if c not in ON_GPU])
def test_every_choice_can_be_left_out(choice):
    kind = type("Without", (TunedTorchBackend,), {"without": frozenset({choice})})
    one, whole = backend(kind), backend()
    for each in (one, whole):
        each.stage(IMAGES, LABELS)
    assert one.settings() != whole.settings()
    assert one.train_epoch(epoch()).loss == pytest.approx(whole.train_epoch(epoch()).loss)


def test_where_torch_cannot_compile_it_trains_eagerly_and_says_why(monkeypatch):
    def compiling(function, **options):
        def run(*arguments):
            raise RuntimeError("no C++ compiler found")

        return run

    monkeypatch.setattr(torch, "compile", compiling)
    one = backend()
    with pytest.warns(UserWarning, match="training is eager"):
        one._compile_forward(epoch(), graphs=True)
    assert "no C++ compiler found" in one.settings()["compiled"]
    assert one.train_epoch(epoch()).loss == pytest.approx(backend().train_epoch(epoch()).loss)


@pytest.mark.parametrize(("graphs", "mode"), [(True, "reduce-overhead"), (False, None)])
def test_each_batch_size_is_compiled_for_itself(monkeypatch, graphs, mode):
    """Else the last, smaller batch turns the full batches' graph into one of dynamic shapes."""
    asked = []

    def compiling(function, **options):
        asked.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compiling)
    one = backend()
    one._compile_forward(epoch(), graphs=graphs)
    assert asked == [{"mode": mode, "dynamic": False}]


@pytest.mark.parametrize("feed", ["staged", "streamed"])
def test_a_recorded_step_trains_as_one_that_is_launched(monkeypatch, feed):
    """All batches of an epoch, whole ones and the last, the optimizer's count, the sums."""
    cpu_graphs.install(monkeypatch)
    launched, recorded = backend(feed=feed), backend(feed=feed)
    for one in (launched, recorded):
        if feed == "staged":
            one.stage(IMAGES, LABELS)
    recorded._record(epoch())
    assert len(recorded._recorder.graphs) == 2  # four images, and the last three
    for _ in range(2):
        expected, found = launched.train_epoch(epoch()), recorded.train_epoch(epoch())
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        assert found.accuracy == expected.accuracy
    np.testing.assert_equal(
        recorded.get_optimizer_state()["step"], launched.get_optimizer_state()["step"]
    )
    for key, value in launched.get_weights().items():
        np.testing.assert_allclose(recorded.get_weights()[key], value, rtol=1e-12)


def test_a_step_is_recorded_anew_where_rate_state_or_data_moved(monkeypatch):
    cpu_graphs.install(monkeypatch)
    one = backend()
    one.stage(IMAGES, LABELS)
    one._record(epoch())
    first = dict(one._recorder.graphs)
    one.train_epoch(epoch())
    assert one._recorder.graphs == first
    one.set_learning_rate(1e-4)
    one.train_epoch(epoch())
    second = dict(one._recorder.graphs)
    assert not any(second[key] is first[key] for key in first)
    one.set_optimizer_state(one.get_optimizer_state())
    one.train_epoch(epoch())
    third = dict(one._recorder.graphs)
    assert not any(third[key] is second[key] for key in second)
    one.stage(IMAGES.copy(), LABELS)
    one.train_epoch(epoch())
    assert not any(one._recorder.graphs[key] is third[key] for key in third)


def test_a_step_is_recorded_in_training_also_after_an_evaluation(monkeypatch):
    cpu_graphs.install(monkeypatch)
    one, modes = backend(), []
    monkeypatch.setattr(StepGraph, "capture", lambda self, pool: modes.append(one.model.training))
    one.stage(IMAGES, LABELS)
    one._record(epoch())
    for change in (
        lambda: one.set_learning_rate(1e-4),
        lambda: one.set_optimizer_state(one.get_optimizer_state()),
    ):
        one.predict(IMAGES)
        change()
    assert modes == [True] * 6


def test_a_step_that_cannot_be_recorded_is_launched_and_the_row_says_why(monkeypatch):
    def refused(*arguments, **options):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(StepGraph, "__init__", refused)
    one = backend()
    with pytest.warns(UserWarning, match="no CUDA graph of a step"):
        one._record(epoch())
    assert "not permitted" in one.settings()["compiled"]
    assert one.train_epoch(epoch()).loss == pytest.approx(backend().train_epoch(epoch()).loss)


def test_a_fused_state_goes_out_and_in():
    one, other = backend(), backend()
    one.train_epoch(epoch())
    other.set_weights(one.get_weights())
    other.set_optimizer_state(one.get_optimizer_state())
    for each in (one, other):
        each.train_epoch(epoch())
    for key, value in one.get_weights().items():
        np.testing.assert_allclose(other.get_weights()[key], value, rtol=1e-12)
