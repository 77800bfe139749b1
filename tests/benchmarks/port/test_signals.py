"""Spectra, light curves, cubes, decoders and attention by hand: equal, and with one difference."""

import pytest

from benchmarks.port.compare import DIFFERENT, EQUAL, UNKNOWN, Found
from benchmarks.port.operation import PortError
from tests.benchmarks.port.conftest import Compared, held

pytestmark = pytest.mark.slow
# Of a picture, by the framework of A; a Keras model says its own.
_SIZES = {"Spectrum": [64, 1], "Tcn": [20, 2], "Vit": [16, 16, 3]}


def signalled(pair: str, compared: Compared) -> Found:
    """The comparison of `keras name, loss=other` and `torch Name`, apart by a bar."""
    labels, parts = [], []
    for side in pair.split(" | "):
        label, *given = side.split(", ")
        framework, name = label.split()
        labels.append(f"signals_{framework}.py:{name}")
        parts.append(dict(one.split("=") for one in given))
    first = labels[0].rpartition(":")[2]
    size = next((size for name, size in _SIZES.items() if first.startswith(name)), [8, 8, 3])
    size = [] if "keras" in labels[0] else size
    return compared(*labels, tuple(parts), size=size, given_weights=True)


EQUALS = [
    *("keras spectrum | torch Spectrum", "keras spectrum_flat | torch SpectrumFlat"),
    *("flax Spectrum | torch Spectrum", "keras tcn | torch Tcn", "flax Tcn | torch Tcn"),
    *("keras cube | torch Cube", "keras unet1d | torch UNet1d", "keras eca | torch Eca"),
    *("keras vit | torch Vit", "keras vit | torch VitFused", "keras vit | torch VitApart"),
    *("flax Vit | torch VitFused", "flax Vit | keras vit", "torch TcnNormed | torch TcnNormed"),
    "keras autoencoder, loss=mse | torch AutoEncoder, loss=mse",
    *("keras siamese | torch Siamese", "keras for_images | torch ForImageClassification"),
    *("keras convnext2 | torch ConvNextV2", "keras maxout | torch Maxout"),
    *("keras lazy | torch Lazy", "flax Lazy | torch Lazy", "keras stretched | torch Stretched"),
    *("keras down | torch Down", "flax Down | torch Down"),
    "keras standardized | torch Standardized",
    "keras lazy, optimizer=own | torch Lazy, schedule=lamb",
    "keras lazy, loss=focal | torch Lazy, loss=focal",
    "flax Lazy, optimizer=masked | torch Lazy, optimizer=groups",
]


@pytest.mark.parametrize("pair", held(EQUALS, "keras spectrum | torch Spectrum", EQUALS[14]))
def test_equal_pairs_are_equal(pair: str, compared: Compared) -> None:
    found = signalled(pair, compared)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert not found.unread
    assert max(found.measured.values()) < 1e-9


CAUSES = [
    ("keras spectrum_same | torch Spectrum", "padding ((2, 3) in A, 3 in B)"),
    ("keras spectrum | torch SpectrumPool", "kind (average_pool in A, max_pool in B)"),
    ("keras spectrum | torch SpectrumLess", "dilation (2 in A, 1 in B)"),
    ("keras tcn_same | torch Tcn", ": padding ("),
    ("torch TcnNormed | torch Tcn", "weight_norm (O in A, none in B)"),
    ("torch TcnNormed | torch TcnNormedOut", "weight_norm (O in A, I in B)"),
    ("keras vit | torch VitUnscaled", "scale (none in A, 1 in B)"),
    ("keras vit_two | torch Vit", "heads (2 in A, 3 in B)"),
    ("keras autoencoder, loss=mse | torch AutoEncoderTanh, loss=mse", "function (sigmoid in A"),
    ("keras siamese | torch SiameseSquare", "function (abs in A, square in B)"),
    ("keras convnext2 | torch ConvNextV2Eps", "offset (1e-06 in A, 0.01 in B)"),
    ("keras maxout | torch MaxoutOther", "axes (C1 in A, C0 in B)"),
    ("keras maxout | torch MaxoutBack", "times (1 in A, 3 in B)"),
    ("keras stretched | torch StretchedLog", "function (asinh in A, log1p in B)"),
    ("keras standardized | torch StandardizedUnbiased", "correction (0 in A, 1 in B)"),
    ("keras down | torch DownPlain", "antialias (yes in A, none in B)"),
    ("flax Down | torch DownPlain", "antialias (yes in A, none in B)"),
]


@pytest.mark.parametrize(("pair", "cause"), held(CAUSES, "keras vit | torch VitUnscaled"))
def test_the_one_difference_is_named_first(pair: str, cause: str, compared: Compared) -> None:
    found = signalled(pair, compared)
    assert found.status == DIFFERENT
    assert cause in found.verdict


def test_layers_that_are_not_read_make_no_difference(compared: Compared) -> None:
    found = signalled("keras gru | torch Gru", compared)
    assert found.status == UNKNOWN
    assert any("GRU in gru" in one for one in found.unread)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("keras with_redshift | torch Lazy", "takes several inputs .* as channels"),
        ("keras lazy | torch WithRedshift", r"takes several inputs \(image, redshift\)"),
        ("flax Scanned | torch Lazy", "inside of a transformation of Flax .*in a loop of Python"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(
    pair: str, message: str, compared: Compared
) -> None:
    with pytest.raises(PortError, match=message):
        signalled(pair, compared)
