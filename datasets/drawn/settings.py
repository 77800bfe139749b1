"""What is drawn for each galaxy in each epoch, as data: the field `augment` of a recipe."""

from __future__ import annotations

from typing import Literal

import msgspec

Flip = Literal["none", "horizontal", "vertical", "both"]
Interpolation = Literal["bilinear", "nearest"]
Edge = Literal["reflect", "nearest", "constant"]

MOST_DEGREES = {"rotation": 180.0, "shear": 60.0}
MOST_SHARE = {"shift": 1.0, "contrast": 1.0, "brightness": 1.0, "noise": 1.0}
MOST_ZOOM = 10.0


class Augment(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Changes drawn for a galaxy anew in every epoch of training. A field left out changes nothing.

    They are made in the order of the fields. The first seven move pixels and are one mapping, so
    that a picture is interpolated once. Angles, factors and shifts are uniform in their range;
    a flip and a quarter turn are as likely as none.

    flip: mirrored left to right ("horizontal"), top to bottom, or each with probability 1/2.
    quarter_turns: turned by 0, 90, 180 or 270 degrees; square pictures only.
    shear: degrees either way; rows move sideways by the tangent of it for each row from the middle.
    zoom: (lowest, highest) factor; above 1 enlarges.
    rotation: degrees either way; 180 is any angle.
    shift: share of the side either way, along each axis; not by whole pixels.
    crop: side in pixels of the square part that is taken at a random place, 0 for all of the
    picture. Validation and test see the middle of that size.
    contrast: values move from or to the picture's mean by a factor of 1 - contrast to 1 + contrast.
    brightness: values are multiplied by 1 - brightness to 1 + brightness.
    noise: deviation of Gaussian noise added to every value, as a share of 255.
    interpolation: of moved pixels. edge: what lies outside of a picture: its mirror image
    ("reflect"), the value at its border ("nearest"), or black ("constant").

    Defaults must never change: stored runs leave them out.

    Raises:
        ValueError: a field out of range, or nothing that changes a picture; with the remedy.
    """

    flip: Flip = "none"
    quarter_turns: bool = False
    shear: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    shift: float = 0.0
    crop: int = 0
    contrast: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0
    interpolation: Interpolation = "bilinear"
    edge: Edge = "reflect"

    def __post_init__(self) -> None:
        for name, most in (MOST_DEGREES | MOST_SHARE).items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                unit = "degrees" if name in MOST_DEGREES else "a share"
                raise ValueError(f"{name} is {value:g}; {unit} from 0 to {most:g}.")
        low, high = self.zoom
        if not 1 / MOST_ZOOM <= low <= high <= MOST_ZOOM:
            raise ValueError(
                f"zoom is {low:g} to {high:g}; two factors from {1 / MOST_ZOOM:g} to "
                f"{MOST_ZOOM:g}, the lower first, such as 0.9 and 1.1."
            )
        if self.crop < 0:
            raise ValueError(f"crop is {self.crop}; pixels, or 0 for no crop.")
        if not (self.resampled or self.turned or self.crop or self.lit):
            raise ValueError(
                "nothing is drawn; state a field, such as rotation = 180, or leave augment out."
            )

    @property
    def uncropped(self) -> Augment | None:
        """The same of pictures that have the crop's size already; None where nothing is left."""
        if self.crop and not (self.resampled or self.turned or self.lit):
            return None
        return msgspec.structs.replace(self, crop=0)

    @property
    def turned(self) -> bool:
        """Whether pictures are flipped or turned by quarters, which leaves pixels as they are."""
        return self.flip != "none" or self.quarter_turns

    @property
    def resampled(self) -> bool:
        """Whether pixels come to lie between those of the picture."""
        return bool(self.shear or self.rotation or self.shift) or self.zoom != (1.0, 1.0)

    @property
    def lit(self) -> bool:
        """Whether values are changed where they are."""
        return bool(self.contrast or self.brightness or self.noise)


def check_fits(settings: Augment, height: int, width: int) -> None:
    """Whether pictures of height x width pixels can be augmented so.

    Raises:
        ValueError: quarter turns of pictures that are not square, or a crop larger than they are.
    """
    if settings.quarter_turns and height != width:
        raise ValueError(
            f"augment: quarter_turns turns pictures by 90 degrees, so they must be square, and "
            f"these are {height}x{width}; use rotation = 180, or flip"
        )
    if settings.crop > min(height, width):
        raise ValueError(
            f"augment: crop is {settings.crop} pixels, and the pictures are {height}x{width}; use "
            f"at most {min(height, width)}"
        )
