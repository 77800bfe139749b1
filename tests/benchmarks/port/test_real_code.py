"""Networks as their authors wrote them: equal to the shipped ones, or different where is known."""

import pytest

from benchmarks.port.compare import DIFFERENT, EQUAL
from tests.benchmarks.port.conftest import Compared

pytestmark = [pytest.mark.slow, pytest.mark.extended]

# Of PyTorch's own, which every port has that leaves them alone.
_DEFAULTS = {"epsilon", "momentum", "initial kernels", "initial biases"}


@pytest.mark.parametrize("name", ["unam", "c2", "c1_bn"])
def test_networks_of_the_authors_are_those_that_ship(name: str, compared: Compared) -> None:
    one = {"c1_bn": "c1"}.get(name, name)
    found = compared(f"authors_keras.py:{one}", name, batch=3)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert not found.differences
    assert found.measured["gradients"] < 1e-9


def test_their_c1_in_pytorch_has_a_norm_and_a_relu_too_many(compared: Compared) -> None:
    found = compared("authors_keras.py:c1", "authors_torch.py:C1", batch=3)
    assert found.status == DIFFERENT
    extra = {(d.place, d.b) for d in found.differences if d.constant == "extra layer"}
    assert extra == {("bn1", "batch norm"), ("relu", "relu")}
    others = {d.constant for d in found.differences} - {"extra layer"} - _DEFAULTS
    assert others == {"kind"}  # Adadelta against Adam
    assert not found.without
    pairs = [(row.pair.a, row.pair.b) for row in found.rows]
    norms = [(a, b) for a, b in pairs if a and b and a.kind == "batch_norm"]
    assert [(a.constants["epsilon"], b.constants["epsilon"]) for a, b in norms] == [(1e-3, 1e-5)]


def test_their_c2_in_pytorch_has_a_norm_too_many_and_its_dropout_elsewhere(
    compared: Compared,
) -> None:
    found = compared("authors_keras.py:c2", "authors_torch.py:C2", batch=3)
    assert found.status == DIFFERENT
    layers = {
        (d.place.partition("_")[0], d.constant)  # Keras numbers its layers
        for d in found.differences
        if d.constant.endswith("layer")
    }
    moved = {("dropout", "missing layer"), ("dropout", "extra layer")}
    assert layers == {("bn2", "extra layer"), *moved}
    others = {d.constant for d in found.differences if not d.constant.endswith("layer")}
    assert others - _DEFAULTS == {"epsilon_form"}  # of Adam


def test_resnet_18_in_the_manner_of_torchvision(compared: Compared) -> None:
    pair = "resnet_keras.py:narrow", "resnet_torch.py:narrow"
    found = compared(*pair, given_weights=True, batch=3, size=[64, 64, 3])
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert not found.unread
    assert any("20 batch norms: B keeps the unbiased variance" in note for note in found.notes)
