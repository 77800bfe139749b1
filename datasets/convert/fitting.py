"""Cutting the middle out of a picture, and scaling it: the same for every form of a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from datasets.convert.bad import NOT_SQUARE, TOO_SMALL

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Fit:
    """Cropping and scaling of the pictures that are kept.

    crop: pixels a side of the middle that is cut out; size: pixels a side that it is scaled to, by
    Pillow's BILINEAR, which averages over the pixels that a new one covers. None leaves it.
    """

    crop: int | None = None
    size: int | None = None

    def result(self, height: int, width: int) -> tuple[int, int] | str:
        """Height and width of what comes out, or what is wrong with such a picture (`bad`)."""
        if self.crop is not None:
            if self.crop > min(height, width):
                return TOO_SMALL
            height = width = self.crop
        if self.size is not None:
            if height != width:
                return NOT_SQUARE
            height = width = self.size
        return height, width

    def apply(self, image: Image.Image) -> Image.Image:
        """The picture as it is kept."""
        from PIL import Image

        if self.crop is not None:
            left, top = (image.width - self.crop) // 2, (image.height - self.crop) // 2
            image = image.crop((left, top, left + self.crop, top + self.crop))
        if self.size is not None and image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return image

    def words(self) -> str:
        """The cropping and scaling in words; "" without either."""
        cut = f"the middle {self.crop}x{self.crop} pixels cut out" if self.crop else ""
        scaled = f"scaled to {self.size}x{self.size} (bilinear)" if self.size else ""
        return ", ".join(filter(None, (cut, scaled)))

    def of_array(self, block: np.ndarray) -> np.ndarray:
        """Pictures uint8 (k, height, width, channels), cropped and scaled."""
        if self.crop is None and self.size is None:
            return block
        from PIL import Image

        made = [
            np.asarray(self.apply(Image.fromarray(one[..., 0] if one.shape[2] == 1 else one)))
            for one in block
        ]
        return np.stack(made).reshape(len(block), *made[0].shape[:2], block.shape[3])
