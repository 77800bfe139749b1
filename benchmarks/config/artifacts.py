"""Settings of the files that a worker writes beside its results: checkpoints and models.

The launcher passes them in a small file. They are no part of the run's configuration: nothing here
changes what a run computes, so the run's identity does not depend on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.config.suite import Suite
from results.writer import clean

CHECKPOINT_SECONDS = 60.0
CHECKPOINTS = "checkpoints"  # in the store


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds within which two answers of one run agree, for its self-check.

    bound: R1's, as a share of the largest logit. times_float32: a multiple of the reference's own
    float32 error; it replaces `bound` where the weights amplify rounding further.
    """

    bound: float
    times_float32: float


class Keeping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Checkpoints, models and the self-check of one run.

    checkpoints: the run's own directory for them, "" for none; checkpoint_every: seconds that have
    to pass between two, 0 is every epoch; resume: go on from the last one, if there is one.
    machine_id: of this machine, since a run is not continued on another.
    model: the directory that the trained model is written to, "" for none; about: what is told of
    it there besides the run's configuration (class names, and how the galaxies are loaded again).
    initial_weights: the file that the weights are filled from, "" for none.
    self_check: whether a run proves itself after training; agreement: within what bounds.
    """

    checkpoints: str = ""
    checkpoint_every: float = CHECKPOINT_SECONDS
    resume: bool = False
    machine_id: str = ""
    model: str = ""
    about: dict[str, Any] = {}
    self_check: bool = False
    agreement: Agreement | None = None
    initial_weights: str = ""

    def of(self, run_id: str, task_id: str, model: str) -> Keeping:
        """Settings of one run from those of its session: directories below those named here."""
        return msgspec.structs.replace(
            self,
            checkpoints=self.checkpoints and str(Path(self.checkpoints) / run_id),
            model=self.model and str(Path(self.model) / model),
            about={**self.about, "task_id": task_id},
        )


def asked(
    store: Path,
    *,
    checkpoint_every: float,
    resume: bool,
    models: str | None,
    machine_id: str,
    self_check: bool = False,
) -> Keeping:
    """Settings of a session: checkpoints in the store, and models in the directory `models`.

    `about` is left for each suite of the session to fill in (see `described`).

    Args:
        models: a directory, "" for `models` in the store, None for no models.

    Raises:
        OSError: the directory for the models cannot be written.
    """
    model = ""
    if models is not None:
        directory = Path(models or store / "models").resolve()
        check_writable(directory)
        model = str(directory)
    return Keeping(
        checkpoints=str((store / CHECKPOINTS).resolve()),
        checkpoint_every=checkpoint_every,
        resume=resume,
        machine_id=machine_id,
        model=model,
        self_check=self_check,
    )


def described(suite: Suite, class_names: Sequence[str]) -> dict[str, Any]:
    """Facts that a saved model states on its galaxies: class names, and how to load the same ones.

    Returns:
        `class_names`, and `data`: arguments of `datasets.catalog.load` with its `dataset`.
    """
    from datasets.catalog import NAMES

    data: dict[str, Any] = {
        name: getattr(suite, name)
        for name in (
            *("labels", "channels", "image_key", "label_key", "label_map"),
            *("image_size", "demo_images", "skip_bad"),
        )
        if getattr(suite, name) not in (None, "", 0)
    }
    path = Path(suite.dataset)
    named = suite.dataset in NAMES
    data["dataset"] = suite.dataset if named or not path.exists() else str(path.resolve())
    return {"class_names": list(class_names), "data": data}


def check_writable(directory: Path) -> None:
    """Make the directory and try it, before hours are spent on what is to be kept there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        clean(directory)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write models to {directory}: {error.strerror or error}; "
            "name another directory with --save-models"
        ) from error


def to_tell(event: Mapping[str, Any]) -> list[str]:
    """Lines for the user from a worker's event: a resumed run, damage, files not saved."""
    extra = event.get("values", {}).get("extra", {}) if event["event"] == "facts" else {}
    told = []
    if damage := extra.get("checkpoint_damage"):
        told.append("warning: " + "; ".join(damage))
    if "resumed_from_epoch" in extra:
        told.append(f"resumed after epoch {extra['resumed_from_epoch']}")
    told += [
        f"warning: {extra[name]}" for name in ("checkpoint_error", "model_error") if name in extra
    ]
    return told
