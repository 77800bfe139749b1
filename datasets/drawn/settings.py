"""Augmentation drawn for each galaxy in each epoch, as data: the field `augment` of a recipe."""

from __future__ import annotations

from typing import Literal

import msgspec

from results.words import count

Flip = Literal["none", "horizontal", "vertical", "both"]
Interpolation = Literal["bilinear", "nearest"]
Edge = Literal["reflect", "nearest", "constant"]
DrawnBy = Literal["harness", "framework"]

MOST_DEGREES = {"rotation": 180.0, "shear": 60.0}
MOST_SHARE = {
    **{"shift": 1.0, "contrast": 1.0, "brightness": 1.0, "saturation": 1.0, "hue": 0.5},
    **{
        "flip_probability": 1.0,
        "noise": 1.0,
        "erase": 1.0,
        "perspective": 1.0,
        "perspective_scale": 1.0,
    },
}
# Of two numbers, the lower first: what they are, the least and the most, and two that serve.
_FACTORS = "two factors", 0.1, 10.0, (0.9, 1.1)
_SHARES = "two shares of the picture's area", 0.001, 1.0, (0.8, 1.0)
RANGES: dict[str, tuple[str, float, float, tuple[float, float]]] = {
    "zoom": _FACTORS,
    "shrink": _FACTORS,
    "area": _SHARES,
    "ratio": ("two ratios of width to height", 0.1, 10.0, (0.75, 1.33)),
    "erase_area": (*_SHARES[:3], (0.02, 0.33)),
}
# A field that says how another is done, and the fields of which one has to be stated for it.
_NEEDS = {
    "flip_probability": ("flip",),
    "ratio": ("area",),
    "crop_first": ("crop", "area"),
    "erase_area": ("erase",),
    "perspective_scale": ("perspective",),
}


class Augment(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Changes drawn for a galaxy anew in every epoch of training. A field left out changes nothing.

    They are made in the order of the fields. Those up to `crop_first` move pixels and are one
    mapping, so that a picture is interpolated once. Angles, factors and shifts are uniform in their
    range; quarter turns are as likely as none.

    flip: mirrored left to right ("horizontal"), top to bottom, or each.
    flip_probability: of each mirror.
    quarter_turns: turned by 0, 90, 180 or 270 degrees; square pictures only.
    shear: degrees either way; rows move sideways by the tangent of it for each row from the middle.
    zoom: (lowest, highest) factor; above 1 enlarges.
    rotation: degrees either way; 180 is any angle.
    shift: share of the side either way, along each axis; not by whole pixels.
    shrink: (lowest, highest) factor by which height and width are divided, each by its own; below 1
    enlarges. It is the `zoom_range` of Keras' ImageDataGenerator.
    perspective: probability that the picture is seen aslant: as torchvision's RandomPerspective,
    each corner moves inwards by a whole number of pixels along each axis.
    perspective_scale: the most that a corner moves, as a share of half the side.
    area: (least, most) share of the picture's area that is taken and scaled to the size of the
    picture, or to `crop`; as torchvision's RandomResizedCrop: up to ten draws of an area and of a
    ratio, until their part of whole pixels fits in the picture, then a place for it; of none that
    fits, the largest part in the middle whose ratio is allowed. Nothing is smoothed first.
    ratio: (least, most) width of that part over its height; its logarithm is uniform.
    crop: side in pixels of the square part that is taken at a random place, 0 for all of the
    picture; validation and test see the middle of that size. With `area`, side of what the part is
    scaled to; validation and test see the whole picture, scaled to it by averaging.
    crop_first: the part is taken before all other changes, which then know nothing outside of it.
    contrast: values move from or to the picture's mean by a factor of 1 - contrast to 1 + contrast.
    brightness: values are multiplied by 1 - brightness to 1 + brightness.
    saturation: values move from or to the pixel's grey by a factor of 1 - saturation to
    1 + saturation; colour pictures only.
    hue: turned by so much of the circle of colours either way, at most 0.5; a pixel keeps its
    largest and smallest value; colour pictures only.
    noise: deviation of Gaussian noise added to every value, as a share of 255.
    erase: probability that a part is made black: as torchvision's RandomErasing, up to ten draws of
    an area and of a ratio from 0.3 to 3.3, until the part is smaller than the picture.
    erase_area: (least, most) share of the picture's area that is made black.
    mixup: concentration of the beta distribution from which a share is drawn (Zhang et al. 2018);
    picture and targets are that share of the galaxy's and the rest of another's, which is drawn
    from those that are trained on and has its own draws.
    cutmix: the same of the area (Yun et al. 2019): a part is the other galaxy's. Of both stated
    each galaxy has one or the other.
    interpolation: of moved pixels. edge: what lies outside of a picture: its mirror image
    ("reflect"), the value at its border ("nearest"), or black ("constant").
    by: who draws and changes: the harness, the same for every framework; or each framework by its
    own means, on its device, so that no two train on the same pictures.

    Defaults must never change: stored runs leave them out.

    Raises:
        ValueError: a field out of range, or nothing that changes a picture; with the remedy.
    """

    flip: Flip = "none"
    flip_probability: float = 0.5
    quarter_turns: bool = False
    shear: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    shift: float = 0.0
    shrink: tuple[float, float] = (1.0, 1.0)
    perspective: float = 0.0
    perspective_scale: float = 0.5
    area: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    crop: int = 0
    crop_first: bool = False
    contrast: float = 0.0
    brightness: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    noise: float = 0.0
    erase: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.33)
    mixup: float = 0.0
    cutmix: float = 0.0
    interpolation: Interpolation = "bilinear"
    edge: Edge = "reflect"
    by: DrawnBy = "harness"

    def __post_init__(self) -> None:
        for name, most in (MOST_DEGREES | MOST_SHARE).items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                unit = "degrees" if name in MOST_DEGREES else "a share"
                raise ValueError(f"{name} is {value:g}; {unit} from 0 to {most:g}.")
        for name, (kind, least, largest, (fewer, more)) in RANGES.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= largest:
                raise ValueError(
                    f"{name} is {low:g} to {high:g}; {kind} from {least:g} to {largest:g}, the "
                    f"lower first, such as {fewer:g} and {more:g}."
                )
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) <= 100:
                raise ValueError(f"{name} is {getattr(self, name):g}; from 0 to 100, such as 0.2.")
        if self.crop < 0:
            raise ValueError(f"crop is {self.crop}; pixels, or 0 for no crop.")
        for name, others in _NEEDS.items():
            if self._states(name) and not any(self._states(other) for other in others):
                raise ValueError(
                    f"{name} is stated, and {' or '.join(others)} is not; state it too, or leave "
                    f"{name} out."
                )
        if not (self.resampled or self.turned or self.crop or self.valued or self.mixed):
            raise ValueError(
                "nothing is drawn; state a field, such as rotation = 180, or leave augment out."
            )

    def _states(self, name: str) -> bool:
        defaults = {field.name: field.default for field in msgspec.structs.fields(type(self))}
        return bool(getattr(self, name) != defaults[name])

    @property
    def uncropped(self) -> Augment | None:
        """These settings for pictures cropped already; None where nothing else is drawn."""
        if self.crop and not (self.resampled or self.turned or self.valued or self.mixed):
            return None
        return msgspec.structs.replace(self, crop=0, crop_first=self.crop_first and self.resized)

    @property
    def mixed(self) -> bool:
        """True if pictures and their targets are mixed with those of other galaxies."""
        return bool(self.mixup or self.cutmix)

    @property
    def turned(self) -> bool:
        """True if pictures are flipped or turned by quarters, which leaves pixels as they are."""
        return self.flip != "none" or self.quarter_turns

    @property
    def resized(self) -> bool:
        """True if a part is taken and scaled."""
        return self.area != (1.0, 1.0)

    @property
    def scales(self) -> bool:
        """True if parts are scaled to another size than the picture's."""
        return self.resized and bool(self.crop)

    @property
    def resampled(self) -> bool:
        """True if new pixels lie between those of the picture, and are interpolated."""
        scaled = (self.zoom, self.shrink, self.area) != ((1.0, 1.0),) * 3
        return scaled or bool(self.shear or self.rotation or self.shift or self.perspective)

    @property
    def coloured(self) -> bool:
        """True if red, green and blue are told apart."""
        return bool(self.saturation or self.hue)

    @property
    def valued(self) -> bool:
        """True if the values of pixels are changed (colour, contrast, noise, erasing, ...)."""
        return self.coloured or bool(self.contrast or self.brightness or self.noise or self.erase)


def check_fits(
    settings: Augment, height: int, width: int, channels: int, field: str = "augment"
) -> None:
    """Check that pictures of height x width pixels can be augmented so.

    field: named in the message.

    Raises:
        ValueError: quarter turns of pictures that are not square, a crop larger than they are,
            one size for pictures of two sides, or colours without red, green and blue.
    """
    if settings.quarter_turns and height != width:
        raise ValueError(
            f"{field}: quarter_turns turns pictures by 90 degrees, so they must be square, and "
            f"these are {height}x{width}; use rotation = 180, or flip"
        )
    if settings.crop > min(height, width):
        raise ValueError(
            f"{field}: crop is {settings.crop} pixels, and the pictures are {height}x{width}; use "
            f"at most {min(height, width)}"
        )
    if settings.scales and height != width:
        raise ValueError(
            f"{field}: area with a crop scales square pictures, and these are {height}x{width}; "
            f"leave crop out"
        )
    if settings.coloured and channels != 3:
        name = "hue" if settings.hue else "saturation"
        raise ValueError(
            f"{field}: {name} is of red, green and blue, and these pictures have "
            f"{count(channels, 'channel')}; use channels rgb, or contrast and brightness"
        )
