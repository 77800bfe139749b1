"""A program's own training steps, at its own speed: nothing is watched or put back."""

from __future__ import annotations

import abc

import numpy as np

Arrays = dict[str, np.ndarray]


class Steps(abc.ABC):
    """Steps of a program's model with its own loss, optimizer, schedule and dropout masks.

    The model's weights move; the optimizer was made anew.
    """

    @abc.abstractmethod
    def step(self, pictures: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        """Train on a batch; gives its loss, as minimised, and the number of right answers.

        Args:
            pictures: (batch, height, width, channels), as the program takes them.
            labels: int (batch,).
        """

    def epoch_ends(self) -> None:  # noqa: B027 - most programs do nothing there
        """The program's own end of an epoch: a schedule of epochs goes on."""

    def put_averages(self) -> bool:
        """Have the program's averages as its weights; False, and nothing done, without any."""
        return False

    @abc.abstractmethod
    def rate(self) -> float:
        """The learning rate of the next step."""

    @abc.abstractmethod
    def state(self) -> Arrays:
        """State of the optimizer, the schedule and the random generators."""

    @abc.abstractmethod
    def restore(self, state: Arrays) -> None:
        """Go on from what `state` gave."""
