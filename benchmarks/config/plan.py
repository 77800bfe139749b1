"""The runs of a session, and what each amounts to: steps, images, operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from benchmarks.config.runconfig import RunConfig
from frameworks.spec import rounds, schedules
from frameworks.spec.defaults import AGREED, fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from results import task


@dataclass(frozen=True)
class SplitSizes:
    """Images of each part of the split."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class PartOf:
    """The published experiment that a run belongs to.

    scale: the share of its data and epochs; declared: what was reported of it, as plain data.
    """

    name: str
    scale: float = 1.0
    declared: Mapping[str, Any] = field(default_factory=dict)

    def label(self) -> str:
        """The name, and the scale where it is not all of it."""
        return self.name if self.scale == 1 else f"{self.name} SCALED x{self.scale:g}"


@dataclass(frozen=True)
class PlannedRun:
    """A run and what it amounts to.

    architecture_hash: of the layers as given, before defaults were filled in, which under native
    parity differ between frameworks; skip: why it cannot be run here, when it cannot; python: the
    interpreter that runs it, by default this one; part_of: its experiment, if it is of one;
    asked: the recipe as given, before a framework's own defaults were filled in; block: hash of the
    runs that go together on one node, all frameworks of one seed or repeat.
    """

    config: RunConfig
    sizes: SplitSizes
    architecture_hash: str = ""
    skip: str = ""
    python: str = ""
    part_of: PartOf | None = None
    asked: Recipe | None = None
    block: str = ""

    def label(self) -> str:
        """A short name for messages."""
        own = self.config.label()
        return f"{self.part_of.label()}: {own}" if self.part_of else own

    @cached_property
    def run_id(self) -> str:
        """Hash of the configuration."""
        return self.config.run_id

    @cached_property
    def cell_id(self) -> str:
        """Hash of the configuration without seed and repeat."""
        return self.config.cell_id

    @cached_property
    def task_id(self) -> str:
        """Hash of what is run, whoever runs it."""
        config = self.config
        if config.parity == "native" and self.asked is not None:
            config = msgspec.structs.replace(config, recipe=fill_recipe(self.asked, AGREED))
        return task.task_id(task.settings(msgspec.to_builtins(config), self.architecture_hash))

    @cached_property
    def network(self) -> Network:
        """The network that is trained."""
        return self.config.network()

    @cached_property
    def images_per_epoch(self) -> int:
        """Images trained on in one epoch: fewer than there are when partial batches are dropped;
        of epochs that are counted in steps their mean, rounded down."""
        recipe = self.config.recipe
        drawn = recipe.sampling
        one_pass = self.sizes.train if drawn is None else drawn.draws or self.sizes.train
        whole, rest = divmod(one_pass, recipe.batch_size)
        in_pass = whole * recipe.batch_size + (0 if recipe.partial_batch == "drop" else rest)
        if recipe.steps_per_epoch is None or not recipe.epochs:
            return in_pass
        steps = recipe.epochs * recipe.steps_per_epoch
        passes, more = divmod(steps, -(-in_pass // recipe.batch_size))
        return (passes * in_pass + more * recipe.batch_size) // recipe.epochs

    @cached_property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.steps_per_epoch * self.config.recipe.epochs

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        if self.config.recipe.steps_per_epoch is not None:
            return self.config.recipe.steps_per_epoch
        return -(-self.images_per_epoch // self.config.recipe.batch_size)

    @cached_property
    def notes(self) -> list[str]:
        """Sentences on a schedule or a warm-up that does not end where the training does."""
        each = rounds.of(self.config.recipe)
        found = (note for one in each for note in schedules.notes(one, self.steps_per_epoch))
        return list(dict.fromkeys(found))

    @cached_property
    def flops(self) -> int:
        """Operations of all training, validation and test, as the network's formulas count them;
        a run that may stop early is counted as if it did not."""
        return self.flops_of(self.config.recipe.epochs)

    def flops_of(self, epochs: int | None) -> int:
        """Operations of training, validation and test for so many epochs; None is all."""
        epochs = self.config.recipe.epochs if epochs is None else epochs
        trained = epochs * self.images_per_epoch * self.network.flops(training=True)
        looked_at = (epochs + 1) * self.sizes.validation + self.sizes.test
        return trained + looked_at * self.network.flops()
