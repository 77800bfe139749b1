"""Generated galaxies in the layout of Galaxy10 SDSS: the data set that needs no download.

Pictures of 69x69x3 bytes, or of another size, in the ten classes of Galaxy10, from Sersic
profiles, edge-on discs with bulges and logarithmic spirals, blurred, with sky noise, stars and
neighbours, and stretched as SDSS colour pictures are. Neighbouring classes overlap in shape, size,
brightness and colour, so that none is told apart by a single number. They are for trying the
harness out: an accuracy on them says nothing about real galaxies.

Every image is a pure function of (seed, its row, its class, its size): uniform doubles of a Philox
stream of its own, whose bits NumPy keeps fixed, and arithmetic in double precision.
"""

from dataclasses import dataclass

import numpy as np

from results.words import count

SIZE = 69
LEAST_SIZE, MOST_SIZE = 8, 4096  # pixels
MINIMUM = 10

# Images of each class per 1000. Ordered about as Galaxy10's own frequencies are, but flattened, so
# that its rarest class (17 of 21,785) is still there to be learned from.
PER_THOUSAND = (150, 175, 165, 65, 115, 35, 90, 85, 65, 55)

# Colours as (red, green, blue) flux: stars of an old population, and of a young one.
_OLD = np.array([1.32, 1.02, 0.66])
_YOUNG = np.array([0.94, 1.0, 1.06])

# What the volunteers are asked of each galaxy, and who of labels.GALAXY10 truly is it.
VOTE_NAMES = ("smooth", "round", "edge-on", "bulge", "spiral", "tightly wound")
VOLUNTEERS = 40
_SAID = np.zeros((len(PER_THOUSAND), len(VOTE_NAMES)), bool)
for _place, _classes in enumerate(((1, 2, 3), (1,), (4, 5, 6), (0, 4, 5), (7, 8, 9), (7,))):
    _SAID[_classes, _place] = True

_STREAM = 0x64656D6F  # "demo": keeps these draws apart from other uses of the same seed
_ORDER_ROW = 2**32 - 1
_VOTE_ROWS = 2**31  # ahead of the rows of votes


class _Draw:
    """Random numbers from uniform doubles alone: NumPy promises no more to stay the same."""

    def __init__(self, seed: int, row: int, size: int = SIZE) -> None:
        # Of the pixels, in 69ths of the picture's side: a larger picture shows the same, finer.
        self.axis = (np.arange(size) - (size - 1) / 2) * (SIZE / size)
        key = np.array([seed, (_STREAM << 32) | row], dtype=np.uint64)
        self._generator = np.random.Generator(np.random.Philox(key=key))

    def uniforms(self, shape: int | tuple[int, ...]) -> np.ndarray:
        return self._generator.random(shape)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self._generator.random())

    def logarithmic(self, low: float, high: float) -> float:
        return float(low * (high / low) ** self._generator.random())

    def whole(self, low: int, high: int) -> int:
        """A whole number, low and high included."""
        return low + int(self._generator.random() * (high - low + 1))

    def normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        """Standard normal numbers (Box & Muller 1958)."""
        first, second = self._generator.random((2, *np.atleast_1d(shape)))
        return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)


@dataclass(frozen=True)
class _Frame:
    """Pixel coordinates in a galaxy's own axes: x along its major axis, y along its minor axis."""

    x: np.ndarray
    y: np.ndarray

    @classmethod
    def at(cls, axis: np.ndarray, centre_x: float, centre_y: float, angle: float) -> "_Frame":
        right, up = axis[None, :] - centre_x, axis[:, None] - centre_y
        cos, sin = np.cos(angle), np.sin(angle)
        return cls(right * cos + up * sin, up * cos - right * sin)

    def radius(self, axis_ratio: float, boxiness: float = 2.0) -> np.ndarray:
        """Elliptical radius, softened within half a pixel; superelliptical where boxy."""
        x, y = np.abs(self.x), np.abs(self.y) / axis_ratio
        if boxiness == 2.0:
            return np.sqrt(x**2 + y**2 + 0.25)
        return (x**boxiness + y**boxiness + 0.5**boxiness) ** (1 / boxiness)


def _sersic(radius: np.ndarray, half_light: float, index: float) -> np.ndarray:
    """Sersic profile, 1 at the half-light radius; b_n = 1.9992 n - 0.3271 (Capaccioli 1989)."""
    steepness = 1.9992 * index - 0.3271
    return np.exp(-steepness * ((radius / half_light) ** (1 / index) - 1))


def _coloured(light: np.ndarray, young: float) -> np.ndarray:
    """Light (h, w) with the colour of a population that is ``young`` by 0 to 1: (h, w, 3)."""
    coloured = np.empty((*light.shape, 3))
    for colour, share in enumerate(_OLD + young * (_YOUNG - _OLD)):
        np.multiply(light, share, out=coloured[..., colour])
    return coloured


def _smooth(draw: _Draw, frame: _Frame, size: float, low: float, high: float) -> np.ndarray:
    axis_ratio = draw.uniform(low, high)
    light = _sersic(frame.radius(axis_ratio), 0.9 * size, draw.uniform(1.0, 3.0))
    return _coloured(light, draw.uniform(0.0, 0.7))


def _disc_with_bulge(
    draw: _Draw, frame: _Frame, size: float, axis_ratio: float, bulge: float
) -> tuple[np.ndarray, np.ndarray]:
    """A face-on disc's light and its bulge's, apart: (h, w) each."""
    disc = _sersic(frame.radius(axis_ratio), size, draw.uniform(0.6, 1.0))
    bulge_axis_ratio = 1 - 0.5 * (1 - axis_ratio)
    return disc, bulge * _sersic(frame.radius(bulge_axis_ratio), 0.25 * size, 1.5)


def _spot(axis: np.ndarray, x: float, y: float, width: float) -> np.ndarray:
    """A Gaussian of height 1 at a place in the picture: (size, size)."""
    return np.outer(
        np.exp(-0.5 * ((axis - y) / width) ** 2), np.exp(-0.5 * ((axis - x) / width) ** 2)
    )


def _knots(draw: _Draw, reach: float, number: int) -> np.ndarray:
    """Star-forming regions strewn around the centre, to be dimmed by the disc: (size, size)."""
    light = np.zeros((len(draw.axis), len(draw.axis)))
    for _ in range(number):
        distance, angle = reach * np.sqrt(draw.uniform(0, 1)), draw.uniform(0, 2 * np.pi)
        x, y = distance * np.cos(angle), distance * np.sin(angle)
        spot = _spot(draw.axis, x, y, draw.uniform(1.0, 2.2))
        light += draw.logarithmic(0.7, 3.5) * spot
    return light


def _plain_disc(draw: _Draw, frame: _Frame, size: float) -> np.ndarray:
    axis_ratio = draw.uniform(0.55, 0.98)
    disc, bulge = _disc_with_bulge(draw, frame, 1.15 * size, axis_ratio, draw.uniform(0.5, 4.0))
    young = draw.uniform(0.1, 1.0)
    knots = disc * _knots(draw, 2 * size, draw.whole(10, 30))
    return _coloured(disc, young) + _coloured(knots, young) + _coloured(bulge, 0.1)


def _edge_on(draw: _Draw, frame: _Frame, size: float, bulge: str) -> np.ndarray:
    length = size * draw.uniform(1.15, 1.6)
    thickness = draw.uniform(0.1, 0.2) if bulge != "none" else draw.uniform(0.08, 0.18)
    disc = _sersic(frame.radius(thickness), length, 0.9)
    light = _coloured(disc, draw.uniform(0.1, 1.0))
    bulge_young = draw.uniform(0.0, 0.5)
    if bulge == "rounded":
        radius = frame.radius(draw.uniform(0.65, 0.9))
        light += _coloured(
            draw.uniform(0.8, 2.0) * _sersic(radius, 0.33 * length, 1.3), bulge_young
        )
    elif bulge == "boxy":
        # A peanut: a box pinched on the minor axis, as a bar seen from its side looks.
        pinch = 1 + draw.uniform(0.5, 0.9) * np.exp(-((frame.x / (0.22 * length)) ** 2))
        pinched = _Frame(frame.x, frame.y * pinch)
        radius = pinched.radius(draw.uniform(0.55, 0.75), boxiness=draw.uniform(3.0, 5.0))
        light += _coloured(
            draw.uniform(1.2, 2.4) * _sersic(radius, 0.38 * length, 0.6), bulge_young
        )
    return light


def _spiral(draw: _Draw, frame: _Frame, size: float, winding: str) -> np.ndarray:
    """Arms along theta = ln(r) / tan(pitch), the logarithmic spiral."""
    pitch_degrees, arms, strength = {
        "tight": (draw.uniform(9, 14), draw.whole(2, 3), draw.uniform(1.5, 3.0)),
        "medium": (draw.uniform(18, 26), 2, draw.uniform(2.0, 4.0)),
        "loose": (draw.uniform(35, 55), 2, draw.uniform(4.0, 7.0)),
    }[winding]
    axis_ratio = draw.uniform(0.55, 0.98)
    disc, bulge = _disc_with_bulge(draw, frame, 1.15 * size, axis_ratio, draw.uniform(0.5, 3.0))
    radius = frame.radius(axis_ratio)
    turn = np.arctan2(frame.y / axis_ratio, frame.x) * (1 if draw.uniform(0, 1) < 0.5 else -1)
    winds = np.log(radius) / np.tan(np.radians(pitch_degrees))
    crest = (0.5 + 0.5 * np.cos(arms * (turn - winds))) ** draw.uniform(1.5, 3.0)
    beyond_bulge = 1 - np.exp(-((radius / (0.3 * size)) ** 2))
    arm_light = disc * strength * crest * beyond_bulge
    between = 0.75 if winding != "loose" else 0.35
    young = draw.uniform(0.2, 1.0)
    arm_light *= 1 + 0.5 * _knots(draw, 2 * size, draw.whole(0, 20))
    return (
        _coloured(between * disc, 0.6 * young) + _coloured(arm_light, young) + _coloured(bulge, 0)
    )


def _galaxy(draw: _Draw, label: int) -> np.ndarray:
    """Light of a galaxy of a class (index into labels.GALAXY10): (size, size, 3)."""
    frame = _Frame.at(
        draw.axis, draw.uniform(-3, 3), draw.uniform(-3, 3), draw.uniform(0, 2 * np.pi)
    )
    size = draw.logarithmic(8.0, 12.5)
    if label == 0:
        return _plain_disc(draw, frame, size)
    if label in (1, 2, 3):
        low, high = {1: (0.9, 1.0), 2: (0.46, 0.75), 3: (0.22, 0.4)}[label]
        return _smooth(draw, frame, size, low, high)
    if label in (4, 5, 6):
        return _edge_on(draw, frame, size, {4: "rounded", 5: "boxy", 6: "none"}[label])
    return _spiral(draw, frame, size, {7: "tight", 8: "medium", 9: "loose"}[label])


def _others(draw: _Draw) -> np.ndarray:
    """Field stars and neighbouring galaxies: (size, size, 3)."""
    light = np.zeros((len(draw.axis), len(draw.axis), 3))
    for _ in range(draw.whole(0, 4)):
        distance, angle = draw.uniform(16, 44), draw.uniform(0, 2 * np.pi)
        x, y = distance * np.cos(angle), distance * np.sin(angle)
        if draw.uniform(0, 1) < 0.65:
            star = draw.logarithmic(0.5, 12.0) * _spot(draw.axis, x, y, 1.0)
            light += _coloured(star, draw.uniform(-0.6, 1.8))
        else:
            radius = _Frame.at(draw.axis, x, y, draw.uniform(0, np.pi)).radius(
                draw.uniform(0.3, 1.0)
            )
            profile = draw.logarithmic(0.3, 1.5) * _sersic(radius, draw.uniform(1.5, 4.0), 1.0)
            light += _coloured(profile, draw.uniform(0, 0.9))
    return light


def _blurred(light: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (size, size, 3), cut at three sigma, the border repeated outwards."""
    size, reach = len(light), int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps /= taps.sum()
    # Sums of shifted pictures rather than a product of matrices: that would start BLAS threads
    # for a millisecond's work, and they fight over a busy machine's cores.
    within = np.clip(np.arange(-reach, size + reach), 0, size - 1)
    rows = light.take(within, axis=1)
    across = sum(tap * rows[:, shift : shift + size] for shift, tap in enumerate(taps))
    columns = across.take(within, axis=0)
    return sum(tap * columns[shift : shift + size] for shift, tap in enumerate(taps))


def _stretched(light: np.ndarray) -> np.ndarray:
    """Light to bytes by an asinh of the mean that keeps the colour (Lupton et al. 2004)."""
    # Colour by colour: NumPy is slow along an axis of three.
    red, green, blue = (np.ascontiguousarray(light[..., colour]) for colour in range(3))
    mean = np.maximum((red + green + blue) / 3, 1e-3)
    stretch = np.arcsinh(2.5 * mean)
    pictures = [5 + 50 * one * stretch / mean for one in (red, green, blue)]
    # A saturated pixel keeps its colour too.
    scale = 255 / np.maximum(np.maximum.reduce(pictures), 255)
    scaled = [np.rint((one * scale).clip(0, 255)).astype(np.uint8) for one in pictures]
    return np.stack(scaled, axis=2)


def _image(seed: int, row: int, label: int, size: int) -> np.ndarray:
    draw = _Draw(seed, row, size)
    galaxy = _galaxy(draw, label)
    # The same range of brightness for each class: the eye, and the stretch, weigh light by
    # about its square root.
    galaxy *= draw.logarithmic(0.3, 1.0) / np.mean(np.sqrt(galaxy))
    # Dust and redshift redden a galaxy of any class.
    galaxy *= (_YOUNG / _OLD) ** draw.uniform(-0.4, 0.6)
    light = galaxy + _others(draw)
    seeing = draw.logarithmic(0.7, 1.6) * (size / SIZE)
    light = _blurred(light, seeing)
    noise = _blurred(draw.normal((size, size, 3)), 0.7 * seeing)
    noise *= draw.logarithmic(0.015, 0.06) / noise.std()
    return _stretched(light + noise)


def class_counts(n: int) -> np.ndarray:
    """Images of each class among ``n``: int64 (10,), by largest remainder, three or more of each
    class from n = 30 on, so that each part of a split gets one.

    Raises ValueError for n below 10.
    """
    if n < MINIMUM:
        raise ValueError(
            f"demo: {count(n, 'image')} are too few for its ten classes; ask for {MINIMUM} or more"
        )
    least = min(3, n // MINIMUM)
    share = np.array(PER_THOUSAND, dtype=np.int64) * (n - least * MINIMUM)
    counts = least + share // 1000
    by_remainder = np.argsort(-(share % 1000), kind="stable")
    counts[by_remainder[: n - counts.sum()]] += 1
    return counts


def votes(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Shares of 40 volunteers who say of each galaxy what `VOTE_NAMES` has: float32 (n, 6).

    The same for the same (labels, seed) everywhere, and no function of the pictures beyond the
    class: one in ten is wrong. One galaxy in ten is seen otherwise by half of them.
    """
    said = np.where(_SAID[labels], 0.9, 0.1)
    shares = np.empty(said.shape, np.float32)
    for row, chances in enumerate(said):
        draw = _Draw(seed, _VOTE_ROWS + row)
        hard = draw.uniforms(chances.shape) < 0.1
        votes_cast = draw.uniforms((VOLUNTEERS, *chances.shape)) < np.where(hard, 0.5, chances)
        shares[row] = votes_cast.sum(axis=0) / VOLUNTEERS
    return shares


def generate(n: int = 1000, seed: int = 0, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Generate ``n`` galaxies: images uint8 (n, size, size, 3) and labels int64 (n,), shuffled.

    The same for the same (n, seed, size) everywhere; of another size it is the same galaxies, in
    pixels of another size and other noise. Raises ValueError for n below 10, a seed outside
    0..2**63-1, or a size below 8 or above 4096.
    """
    if not LEAST_SIZE <= size <= MOST_SIZE:
        raise ValueError(f"demo: size {size} is not in {LEAST_SIZE}..{MOST_SIZE} pixels")
    if not 0 <= seed < 2**63:
        raise ValueError(f"demo: seed {seed} is not in 0..2**63-1")
    counts = class_counts(n)
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    labels = labels[np.argsort(_Draw(seed, _ORDER_ROW).uniforms(n), kind="stable")]
    images = np.empty((n, size, size, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        images[row] = _image(seed, row, int(label), size)
    return images, labels
