"""The recipes by name, and the one that a folder is of."""

from pathlib import Path

from datasets.convert.convert import Recipe
from datasets.convert.efigi import EFIGI
from results.door import folders

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (EFIGI,)}


def recipe_of(path: Path) -> Recipe | None:
    """The recipe that knows a folder or zip file by one of its files; None of any other.

    Raises:
        FileError: it cannot be read.
    """
    if not path.is_dir() and not folders.is_zip(path):
        return None
    with folders.opened(path) as folder:
        names = {name.rpartition("/")[2] for name in folder.names}
    return next((recipe for recipe in RECIPES.values() if recipe.known_by in names), None)
