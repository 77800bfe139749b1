"""The recipes by name."""

from datasets.convert.convert import Recipe
from datasets.convert.efigi import EFIGI

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (EFIGI,)}
