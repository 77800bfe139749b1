"""Two programs under comparison: the same weights, masks and pictures go to both."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np

from benchmarks.port.align import Pair, Weight, aligned, weights
from benchmarks.port.attention import Parts
from benchmarks.port.difference import Difference, rounded
from benchmarks.port.galaxies import Galaxies, Pictures
from benchmarks.port.masks import MaskShapes, mask_shape, uniforms
from benchmarks.port.normal import Normal, normal
from benchmarks.port.operation import PICTURES, Listing, Operation, PortError, Recipe
from benchmarks.port.wire import Side
from results.words import count as counted

Arrays = dict[str, np.ndarray]
_MOST_MASKS = 2**27  # numbers of all steps together: 1 GiB in float64


class Session:
    """State of the comparison of a pair.

    differences and notes: what was found; it is kept when a later stage cannot be run.
    """

    def __init__(
        self,
        a: Side,
        b: Side,
        listings: tuple[Listing, Listing],
        *,
        batch: int = 6,
        seed: int = 0,
        given: Galaxies | None = None,
    ) -> None:
        self.a, self.b = a, b
        self.listing_a, self.listing_b = listings
        if self.listing_a.input != self.listing_b.input:
            raise PortError(
                f"A takes pictures of {self.listing_a.input}, B of {self.listing_b.input}; give "
                "both the same --input"
            )
        self._share_targets()
        self.normal_a, self.normal_b = self._normals()
        self.parts = {}
        for side, made, name in ((a, self.normal_a, "a"), (b, self.normal_b, "b")):
            listing: Listing = getattr(self, f"listing_{name}")
            parts = self.parts[side] = Parts(made.parts, listing.parameters)
            told = {"parameters": parts.shapes, "fixed": parts.names(listing.fixed)}
            setattr(self, f"listing_{name}", msgspec.structs.replace(listing, **told))
            for number in made.dropouts:  # as in a layer for attention, whose masks cannot be given
                side.ask("change", operation=number, constant="rate", value=0.0)
        self.pairs: list[Pair] = aligned(self.normal_a, self.normal_b)
        self.weights: list[Weight] = weights(self.pairs)
        self.differences: list[Difference] = []
        self.notes: list[str] = []
        self.measured: dict[str, float] = {}
        self.unread: list[str] = []
        self.loaded_a: Arrays = {}
        self.loaded_b: Arrays = {}
        self.outputs = np.zeros((batch, 1))
        self.alike = False  # A's outputs for all pictures
        # of operations that differ where the outputs do not, and how far
        self.made_up: list[tuple[Difference, float]] = []
        self.unbiased: dict[str, list[tuple[str, int]]] = {}  # norms and batches, by program
        self.tiny: set[str] = set()  # weights whose gradient is rounding alone
        self.decay_moved = False  # between the loss of one program and the optimizer of the other
        self.draw = np.random.default_rng(seed)
        self.batch = batch
        self.own_pictures = False  # each program's own preprocessing of the same ones
        classes = max(2, int(np.prod(self.normal_a.operations[-1].shape)))
        self.source = Pictures(self.draw, self.listing_a.input, classes, given)
        self.pictures, self.pictures_b, self.labels = self.picture_pair()

    @property
    def one_framework(self) -> bool:
        """True if both programs are of one framework."""
        return self.listing_a.framework == self.listing_b.framework

    def _normals(self, *, scaled_ahead: bool = False) -> tuple[Normal, Normal]:
        """Both in comparable form; a last softmax belongs to the loss where both have one."""
        listings = [self.listing_a, self.listing_b]
        if not all(one.recipe.loss for one in listings):
            listings = [msgspec.structs.replace(one, recipe=Recipe()) for one in listings]
        one, other = (normal(listing, scaled_ahead=scaled_ahead) for listing in listings)
        return one, other

    def _share_targets(self) -> None:
        """A loss that takes targets of several forms gets those that the other's needs."""
        of_a, of_b = (one.recipe.loss_targets for one in (self.listing_a, self.listing_b))
        for side, own, other in ((self.a, of_a, of_b), (self.b, of_b, of_a)):
            if not own:
                side.ask("prefer_targets", form=other)

    def round_alike(self) -> None:
        """Have B compute with A's constants where they differ by float32's rounding alone."""
        named = []
        for pair in self.pairs:
            if pair.a is not None and pair.b is not None:
                for name, x, y in rounded(pair.a.constants, pair.b.constants):
                    if self.change(pair.b, name, x):
                        named.append(f"{pair.name}: {name} ({x!r} in A, {y!r} in B)")
        of_a, of_b = (one.recipe.optimizer for one in (self.listing_a, self.listing_b))
        scheduled = self.listing_a.recipe.rates or self.listing_b.recipe.rates
        if scheduled and of_a and of_b:  # rates are compared apart
            rate = of_a.get("learning_rate")
            if self.b.ask("change_optimizer", constant="learning_rate", value=rate)[0]:
                of_b["learning_rate"] = rate
        for name, x, y in rounded(of_a, of_b):
            if self.b.ask("change_optimizer", constant=name, value=x)[0]:
                named.append(f"optimizer: {name} ({x!r} in A, {y!r} in B)")
        if named:
            self.notes.append(f"the same in float32, and here A's value: {'; '.join(named)}")

    def picture_pair(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A batch for A, the same one for B, and their labels."""
        if not self.own_pictures:
            made, labels = self.source.scaled(self.batch)
            return made, made, labels
        raw, labels = self.source.raw(self.batch)
        both = [
            side.ask("preprocess", {"pictures": raw})[1]["pictures"] for side in (self.a, self.b)
        ]
        return both[0], both[1], labels

    def take_own_pictures(self) -> None:
        """Both programs scale alike, each where it does: in its model or ahead of it."""
        self.own_pictures = True
        self.pictures, self.pictures_b, self.labels = self.picture_pair()
        self.normal_a, self.normal_b = self._normals(scaled_ahead=True)
        self.pairs = aligned(self.normal_a, self.normal_b)
        self.weights = weights(self.pairs)

    # ---- weights

    @property
    def alone_in_a(self) -> int:
        """Numbers in the weights of operations that A alone has."""
        return self._alone(self.listing_a, "a")

    @property
    def alone_in_b(self) -> int:
        """Numbers in the weights of operations that B alone has."""
        return self._alone(self.listing_b, "b")

    def _alone(self, listing: Listing, side: str) -> int:
        single = [getattr(pair, side) for pair in self.pairs if not pair.both]
        keys = {key for one in single if one is not None for key in one.parameters.values()}
        keys -= {getattr(weight, side) for weight in self.weights}
        return sum(int(np.prod(listing.parameters[key])) for key in keys)

    def own(self) -> tuple[Arrays, Arrays]:
        """The weights with which both programs start."""
        one, other = (self.parts[side].cut(side.ask("weights")[1]) for side in (self.a, self.b))
        return one, other

    def carry(self, own_a: Arrays, own_b: Arrays) -> None:
        """Load the same weights into both: A's kernels, and drawn numbers where an initial value
        (a bias of 0, a variance of 1) would hide what is done with it."""
        made: Arrays = {}
        of_b: Arrays = {}  # a weight that B uses twice has one value
        for one in self.weights:
            if one.a not in made:
                made[one.a] = of_b.get(one.b, own_a[one.a])
                if one.b not in of_b:
                    made[one.a] = self._drawn(one.role, own_a[one.a])
            of_b[one.b] = made[one.a]
        self.loaded_a = made | self._unpaired(0, own_a)
        self.loaded_b = self.to_b(made) | self._unpaired(1, own_b)
        self.a.ask("load", self.parts[self.a].joined(self.loaded_a, own_a))
        self.b.ask("load", self.parts[self.b].joined(self.loaded_b, own_b))

    def _unpaired(self, place: int, own: Arrays) -> Arrays:
        """Drawn numbers for a bias or scale that one program alone has in a layer of both."""
        found: Arrays = {}
        for pair in self.pairs:
            both = (pair.a, pair.b)
            one, other = both[place], both[1 - place]
            if one is None or other is None or one.kind != other.kind:
                continue
            for role, key in one.parameters.items():
                if role not in other.parameters and key in own:
                    found[key] = self._drawn(role, own[key])
        return found

    def _fits(self, one: Weight) -> bool:
        of_a, of_b = self.listing_a.parameters[one.a], self.listing_b.parameters[one.b]
        # a convolution of one pixel has two axes more than a dense layer
        return [n for n in of_a if n != 1] == [n for n in of_b if n != 1]

    def _drawn(self, role: str, value: np.ndarray) -> np.ndarray:
        if role in ("gamma", "moving_variance"):
            return self.draw.uniform(0.5, 1.5, value.shape)
        if role.endswith("_magnitude"):
            return value * self.draw.uniform(0.5, 1.5, value.shape)
        if role.endswith("bias") or role in ("beta", "moving_mean", "alpha"):
            return self.draw.normal(0.0, 0.1, value.shape)
        if np.ptp(value) == 0:
            fan = max(1, int(np.prod(value.shape[:-1])))
            return self.draw.normal(0.0, fan**-0.5, value.shape)
        return value

    def to_b(self, arrays: Arrays) -> Arrays:
        """Arrays by A's names of weights, by B's."""
        return {
            one.b: arrays[one.a].reshape(self.listing_b.parameters[one.b])
            for one in self.weights
            if one.a in arrays and self._fits(one)
        }

    def stated_by_both(self) -> list[Weight]:
        """The numbers that both programs state where others have weights: a fixed kernel."""
        of_a, of_b = self.listing_a.constants, self.listing_b.constants
        return [w for w in self.weights if w.a in of_a and w.b in of_b]

    def trained_by_one(self) -> list[Weight]:
        """The weights that one program trains and the other holds still."""
        fixed_a, fixed_b = self.listing_a.fixed, self.listing_b.fixed
        return [w for w in self.weights if (w.a in fixed_a) != (w.b in fixed_b)]

    def shared_by_one(self) -> list[Weight]:
        """The weights that one program uses in several places and the other has apart."""
        of_a, of_b = (Counter(getattr(w, side) for w in self.weights) for side in "ab")
        return [w for w in self.weights if of_a[w.a] != of_b[w.b]]

    # ---- passes

    def masks(self) -> tuple[Arrays, Arrays]:
        """Uniform numbers for every dropout, the same ones for those that correspond."""
        of_a: MaskShapes = {}  # those that correspond share a number
        of_b: MaskShapes = {}
        for number, pair in enumerate(self.pairs):
            one, other = pair.a, pair.b
            if one is not None and one.kind == "dropout":
                of_a[one.id] = (number, self._mask_shape(one, self.listing_a))
            if other is not None and other.kind == "dropout":
                of_b[other.id] = (number, self._mask_shape(other, self.listing_b))
        seed = int(self.draw.integers(2**31))
        return uniforms(of_a, self.batch, seed), uniforms(of_b, self.batch, seed)

    def masks_of_steps(self, count: int) -> list[tuple[Arrays, Arrays]]:
        """Masks of so many steps.

        Raises:
            PortError: they are more than memory should hold.
        """
        found = [self.masks()]
        each = sum(array.size for one in found[0] for array in one.values())
        if each * count > _MOST_MASKS:
            raise PortError(
                f"--steps {count}: their dropout masks are {counted(each * count, 'number')}, and "
                f"at most {_MOST_MASKS:,}: give {counted(_MOST_MASKS // each, 'step')}, or a "
                "smaller --batch-size"
            )
        return [*found, *(self.masks() for _ in range(count - 1))]

    @staticmethod
    def _mask_shape(one: Operation, listing: Listing) -> list[int]:
        return mask_shape(one.constants.get("per", "value"), _listed(listing, one.id))

    def forward(
        self, side: Side, training: bool, masks: Arrays, inputs: dict[str, list[np.ndarray]]
    ) -> tuple[Arrays, Arrays]:
        """Outputs of all operations, and of those that were given other inputs."""
        arrays = {"pictures": self._for(side), **_named("uniform", masks)}
        for number, values in inputs.items():
            arrays |= {f"input:{number}:{place}": v for place, v in enumerate(values)}
        _, found = side.ask("forward", arrays, training=training)
        alone = {k.removeprefix("alone:"): v for k, v in found.items() if k.startswith("alone:")}
        return {k: v for k, v in found.items() if not k.startswith("alone:")}, alone

    def inputs_for_b(self, values: Arrays) -> dict[str, list[np.ndarray]]:
        """Inputs of A's operations, in the shape in which B's read them, by B's operation."""
        found: dict[str, list[np.ndarray]] = {}
        for pair in self.pairs:
            if pair.a is None or pair.b is None or len(pair.a.sources) != len(pair.b.sources):
                continue
            if pair.a.kind == pair.b.kind == "rescale" or pair.b.id in self.normal_b.joined:
                continue  # several operations may be joined in it
            read = next(o for o in self.listing_b.operations if o.id == pair.b.id).sources
            zeros = self.normal_b.pads.get(pair.b.id)
            given = []
            for mine, theirs in zip(pair.a.sources, read, strict=True):
                value = self.read_by(pair.a.id, mine, values)
                if mine == theirs == PICTURES:
                    value = self.pictures_b
                shape = _listed(self.listing_b, theirs)
                if zeros:
                    fill = -np.inf if pair.b.kind == "max_pool" else 0.0
                    around = [(0, 0), *map(tuple, zeros), (0, 0)]
                    value = np.pad(value, around, constant_values=fill)
                batch = 1 if value.size == np.prod(shape) else len(value)  # a weight has none
                if value.size != batch * np.prod(shape):
                    break
                given.append(value)
            else:
                found[pair.b.id] = given
        return found

    def _for(self, side: Side) -> np.ndarray:
        return self.pictures if side is self.a else self.pictures_b

    def read_by(self, number: str, source: str, values: Arrays) -> np.ndarray:
        """The input of an operation of A, also where a scale ahead of it was left out."""
        if source != PICTURES:
            return values[source]
        sources = {o.id: o.sources for o in self.listing_a.operations}
        listed = sources[number][0]
        if number in self.normal_a.pads:  # zeros that belong to the operation itself
            listed = sources[listed][0]
        return values.get(listed, self.pictures)

    def gradients(self, side: Side, masks: Arrays) -> tuple[dict[str, float], Arrays, Arrays]:
        """Loss in words, gradients, and the running statistics after one batch."""
        arrays = {"pictures": self._for(side), "labels": self.labels, **_named("uniform", masks)}
        said, found = side.ask("gradients", arrays, training=True)
        gradients = {k.partition(":")[2]: v for k, v in found.items() if k.startswith("gradient:")}
        after = {k.partition(":")[2]: v for k, v in found.items() if k.startswith("after:")}
        return said, self.parts[side].cut(gradients), self.parts[side].cut(after)

    def steps(self, side: Side, gradients: list[Arrays]) -> list[Arrays]:
        """Weights after each of so many steps of the optimizer on given gradients."""
        parts = self.parts[side]
        own = [parts.joined(one) for one in gradients]
        arrays = {f"{n}:{k}": v for n, one in enumerate(own) for k, v in one.items()}
        _, found = side.ask("steps", arrays, count=len(gradients))
        after: list[Arrays] = [{} for _ in gradients]
        for key, value in found.items():
            number, _, name = key.partition(":")
            after[int(number)][name] = value
        return [
            {name: value for name, value in parts.cut(one).items() if name in given}
            for one, given in zip(after, gradients, strict=True)
        ]

    def train(
        self, side: Side, pictures: np.ndarray, labels: np.ndarray, masks: list[Arrays]
    ) -> tuple[list[float], Arrays]:
        """Losses and the last weights of so many whole steps."""
        arrays: Arrays = {"pictures": pictures, "labels": labels}
        for number, one in enumerate(masks):
            arrays |= {f"{number}:uniform:{k}": v for k, v in one.items()}
        said, found = side.ask("train", arrays, count=len(masks))
        return said["losses"], self.parts[side].cut(found)

    def change(self, operation: Operation, constant: str, value: Any) -> bool:
        """Have B compute with A's constant from now on."""
        zeros = self.normal_b.pads.get(operation.id)
        if constant == "padding" and zeros:  # which stand ahead of it and stay
            value = [
                [v - z for v, z in zip(one, other, strict=True)]
                for one, other in zip(value, zeros, strict=True)
            ]
        words = {"operation": operation.id, "constant": constant, "value": value}
        return bool(self.b.ask("change", **words)[0])


def _listed(listing: Listing, number: str) -> list[int]:
    """The shape in which a program has an output; that of the normal form has no axes of size 1."""
    if number == PICTURES:
        return listing.input
    return next(o.shape for o in listing.operations if o.id == number)


def _named(kind: str, arrays: Arrays) -> Arrays:
    return {f"{kind}:{key}": value for key, value in arrays.items()}
