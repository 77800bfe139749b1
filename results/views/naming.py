"""Names of views and panels: as long as it takes to tell them apart.

The candidates are the settings themselves (`results.task`), so that a field added to the
configuration tells its runs apart without a word here.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from results.task import ABSENT, Settings, task_id

# Words that say more than the setting's own name; these tell groups apart before any other does.
_FORMS = {
    "data.labels": "{} labels",
    "data.channels": "channels {}",
    "data.height": "{} pixels",
    "threads": "{} threads",
    "replicas": "replicas {}",
    "side_by_side": "{} blocks side by side on a node",
    "machine_id": "machine {:.6}",
    "data.sha256": "data {:.6}",
    "recipe.batch_size": "batch {}",
    "recipe.epochs": "{} epochs",
    "recipe.optimizer.name": "{}",
    "recipe.optimizer.learning_rate": "rate {}",
    "recipe.loss.name": "{}",
    "recipe.loss.label_smoothing": "label smoothing {}",
    "architecture.layers": "layers {:.6}",
    "data.fraction": "fraction {}",
    "data.augmentation": "{}",
    "data.oversample": "oversampled, {}",
    "split.by": "split by {} (leak)",
    "split.test_copies": "tested on {} copies",
    "split.fold": "fold {}",
    "part_of": "{}",
}
OF_DATA = ("data.fraction", "data.augmentation", "data.oversample")
_UNUSUAL = (
    *OF_DATA,
    "split.by",
    "split.test_copies",
    "split.fold",
    "part_of",
    "side_by_side",
)  # in every name that has them
_USUAL_EXTRAS = ("batch_size", "epochs", "optimizer", "partial_batch")


def unusual(settings: Settings, names: Iterable[str] = _UNUSUAL) -> list[str]:
    """A word for each of these settings that is not as usual."""
    return [_word(name, settings[name]) for name in names if settings.get(name) is not None]


def extras(settings: Settings) -> list[str]:
    """Parts that a recipe states besides optimizer, batches and epochs, in words."""
    found: dict[str, list[str]] = {}
    for name in sorted(settings, key=lambda name: name.split(".")[:2]):
        part, _, field = name.removeprefix("recipe.").partition(".")
        if name.startswith("recipe.") and part not in _USUAL_EXTRAS:
            value = _text(settings[name])
            found.setdefault(_label(part), []).append(f"{field} {value}" if field else value)
    return [f"{part} ({', '.join(values)})" for part, values in found.items()]


def names_of(bases: Sequence[str], groups: Sequence[Settings]) -> list[str]:
    """A name for each group, with as much as it takes to tell the groups apart.

    Args:
        bases: what each name begins with.
        groups: the settings that all runs of a group have.
    """
    shown = [_shown(settings) for settings in groups]
    names = [
        ", ".join([base, *unusual(settings)]) for base, settings in zip(bases, groups, strict=True)
    ]
    for key in dict.fromkeys([*_FORMS, *sorted(key for one in shown for key in one)]):
        words = [_word(key, one.get(key, ABSENT.get(key))) for one in shown]
        variants: dict[str, set[str]] = {}
        for name, word in zip(names, words, strict=True):
            variants.setdefault(name, set()).add(word)
        names = [
            f"{name}, {word}" if word and len(variants[name]) > 1 else name
            for name, word in zip(names, words, strict=True)
        ]
    counted = Counter(names)
    numbers: Counter[str] = Counter()
    for index, name in enumerate(names):
        numbers[name] += 1
        if counted[name] > 1:
            names[index] = f"{name} (variant {numbers[name]})"
    return names


def _shown(settings: Settings) -> dict[str, Any]:
    """Settings to tell groups apart by: layers as a hash; of a part of the recipe that not every
    recipe has, whether it is there before what it states."""
    layers = {name: settings[name] for name in settings if name.startswith("architecture.")}
    found: dict[str, Any] = {"architecture.layers": task_id(layers)} if layers else {}
    for name in settings.keys() - layers.keys():
        top, _, rest = name.partition(".")
        part, _, field = rest.partition(".")
        stated = isinstance(settings[name], list)
        if top == "recipe" and (stated or (field and part != "optimizer")):
            found[f"recipe.{part}"] = True
        found[f"{name}.values" if stated else name] = settings[name]
    return found


def _word(name: str, value: Any) -> str:
    if name in _FORMS:
        words = "" if value is None else _FORMS[name].format(_text(value))
        return words.removesuffix("s") if value == 1 and words.startswith("1 ") else words
    parts = name.split(".")
    label = _label(parts[-1])
    if isinstance(value, bool):
        return label if value else f"no {label}"
    if value is None:  # a part of the recipe that others have; else there is nothing to say of it
        return f"no {label}" if parts[0] == "recipe" and len(parts) == 2 else ""
    return _text(value) if parts[-1] == "values" else f"{label} {_text(value)}"


def _label(name: str) -> str:
    return name.replace("_", " ")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
