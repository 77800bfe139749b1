"""Public pictures and labels, made into a file of galaxies: one file a recipe."""
