"""Pictures of noise, and an augmentation that draws every field."""

from __future__ import annotations

import numpy as np

from datasets.drawn.settings import Augment

ALL = Augment(
    flip="both",
    quarter_turns=True,
    shear=20,
    zoom=(0.7, 1.4),
    rotation=180,
    shift=0.3,
    crop=7,
    contrast=0.5,
    brightness=0.5,
    shrink=(0.9, 1.2),
    perspective=0.5,
    area=(0.3, 1.0),
    ratio=(0.75, 1.33),
    saturation=0.5,
    hue=0.1,
    noise=0.1,
    erase=0.5,
)


def pictures(count: int, height: int = 9, width: int = 9, channels: int = 3) -> np.ndarray:
    random = np.random.default_rng(count)
    return random.integers(0, 256, (count, height, width, channels), dtype=np.uint8)
