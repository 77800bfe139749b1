"""R8: which rung of the ladder finds which fault."""
