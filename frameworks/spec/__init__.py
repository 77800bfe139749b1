"""A network and its training as data: layers, recipe, defaults, weights."""
