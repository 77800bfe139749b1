"""Values changed where they are: contrast, brightness, colour, noise, and a part made black."""

from __future__ import annotations

import numpy as np

from datasets.drawn import draws
from datasets.drawn.moves import parts
from datasets.drawn.settings import Augment
from datasets.galaxy_file import GREY

_ERASED_RATIO = (0.3, 3.3)  # width over height, as torchvision's RandomErasing
_SECTORS = (5, 3, 1)  # of red, green and blue in the circle of colours


def valued(
    picture: np.ndarray, settings: Augment, drawn: np.ndarray, key: tuple[int, int, int]
) -> np.ndarray:
    """The picture with its values changed: float32 whole numbers from 0 to 255, (h, w, channels).

    Args:
        picture: uint8 (h, w, channels).
        drawn: its row of `draws.uniforms`. key: its seed, epoch and galaxy.
    """

    def either_way(name: str) -> float:
        return float(2 * drawn[draws.PLACES[name]] - 1)

    def factor(name: str) -> np.float32:
        return np.float32(1 + getattr(settings, name) * either_way(name))

    values = picture.astype(np.float32)
    if settings.contrast:
        mean = np.float32(picture.mean(dtype=np.float64))
        values = mean + factor("contrast") * (values - mean)
    if settings.brightness:
        values *= factor("brightness")
    if settings.saturation:
        grey = (values @ (GREY / 65536).astype(np.float32))[..., None]
        values = grey + factor("saturation") * (values - grey)
    if settings.hue:
        values = _turned(values, settings.hue * either_way("hue"))
    if settings.noise:
        values += np.float32(255 * settings.noise) * draws.normals(*key, picture.shape)
    if settings.erase and drawn[draws.PLACES["erase"]] < settings.erase:
        _erase(values, settings, drawn)
    return np.clip(np.rint(values), 0, 255)


def _turned(values: np.ndarray, turn: float) -> np.ndarray:
    """Colours turned by a share of the circle of hues, as HSV has it: float32 (h, w, 3).

    Value and saturation stay: a pixel keeps its largest and its smallest number.
    """
    red, green, blue = np.ascontiguousarray(np.moveaxis(values, 2, 0))
    largest = np.maximum(np.maximum(red, green), blue)
    chroma = largest - np.minimum(np.minimum(red, green), blue)
    over = np.maximum(chroma, np.float32(1e-30))
    sixth = np.where(
        red == largest,
        (green - blue) / over,
        np.where(green == largest, (blue - red) / over + 2, (red - green) / over + 4),
    )
    sixth += np.float32(6 * turn)
    made = np.empty_like(values)
    for channel, sector in enumerate(_SECTORS):
        place = sixth + np.float32(sector)
        place -= 6 * np.floor(place / 6)
        made[..., channel] = largest - chroma * np.clip(np.minimum(place, 4 - place), 0, 1)
    return made


def _erase(values: np.ndarray, settings: Augment, drawn: np.ndarray) -> None:
    """Make the part that was drawn black, where one fits."""
    size = values.shape[0], values.shape[1]
    found, fits = parts("erased", drawn[None], settings.erase_area, _ERASED_RATIO, size, spare=1)
    if fits[0]:
        top, left, height, width = found[0]
        values[top : top + height, left : left + width] = 0
